//! Arithmetic, comparisons and logic.

use hcl_edit::expr::{BinaryOp, BinaryOperator, Expression, UnaryOp, UnaryOperator};

use super::Evaluator;
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::value::{ArithmeticError, Number, Type, Value};

impl Evaluator<'_> {
    pub(super) fn unary(&mut self, operation: &UnaryOp) -> Option<Value> {
        match operation.operator.value() {
            UnaryOperator::Not => {
                let flag = self.decision(&operation.expr, "The operand")?;
                Some(Value::Bool(!flag))
            }
            UnaryOperator::Neg => Some(Value::Number(self.number(&operation.expr)?.negated())),
        }
    }

    /// Both sides are evaluated always, as HCL does it.
    pub(super) fn binary(&mut self, operation: &BinaryOp) -> Option<Value> {
        use BinaryOperator as Op;
        match operation.operator.value() {
            Op::Eq => self.equal(operation).map(Value::Bool),
            Op::NotEq => self.equal(operation).map(|equal| Value::Bool(!equal)),
            Op::And => self.logic(operation, |left, right| left && right),
            Op::Or => self.logic(operation, |left, right| left || right),
            Op::Less => self.compare(operation, |left, right| left < right),
            Op::LessEq => self.compare(operation, |left, right| left <= right),
            Op::Greater => self.compare(operation, |left, right| left > right),
            Op::GreaterEq => self.compare(operation, |left, right| left >= right),
            Op::Plus => self.compute(operation, Number::plus),
            Op::Minus => self.compute(operation, Number::minus),
            Op::Mul => self.compute(operation, Number::times),
            Op::Div => self.compute(operation, Number::divided_by),
            Op::Mod => self.compute(operation, Number::remainder),
        }
    }

    fn equal(&mut self, operation: &BinaryOp) -> Option<bool> {
        let left = self.known(&operation.lhs_expr);
        let right = self.known(&operation.rhs_expr);
        Some(left? == right?)
    }

    /// A value that is known now, with all that is in it.
    fn known(&mut self, expression: &Expression) -> Option<Value> {
        let value = self.value(expression)?;
        match value.has_unknown() {
            true => self.too_late(self.span(expression)),
            false => Some(value),
        }
    }

    fn logic(&mut self, operation: &BinaryOp, decide: fn(bool, bool) -> bool) -> Option<Value> {
        let left = self.decision(&operation.lhs_expr, "The operand");
        let right = self.decision(&operation.rhs_expr, "The operand");
        Some(Value::Bool(decide(left?, right?)))
    }

    fn compare(
        &mut self,
        operation: &BinaryOp,
        decide: fn(&Number, &Number) -> bool,
    ) -> Option<Value> {
        let (left, right) = self.numbers(operation)?;
        Some(Value::Bool(decide(&left, &right)))
    }

    fn compute(
        &mut self,
        operation: &BinaryOp,
        compute: fn(&Number, &Number) -> Result<Number, ArithmeticError>,
    ) -> Option<Value> {
        let (left, right) = self.numbers(operation)?;
        match compute(&left, &right) {
            Ok(number) => Some(Value::Number(number)),
            Err(error) => {
                let span = self.span(operation);
                self.report(Diagnostic::error(error.to_string(), span))
            }
        }
    }

    fn numbers(&mut self, operation: &BinaryOp) -> Option<(Number, Number)> {
        let left = self.number(&operation.lhs_expr);
        let right = self.number(&operation.rhs_expr);
        left.zip(right)
    }

    pub(super) fn number(&mut self, expression: &Expression) -> Option<Number> {
        match self.typed(expression, &Type::Number)? {
            Value::Number(number) => Some(number),
            _ => {
                let span = self.span(expression);
                self.report(
                    Diagnostic::error("The operand is null", span).label("expected a number"),
                )
            }
        }
    }
}
