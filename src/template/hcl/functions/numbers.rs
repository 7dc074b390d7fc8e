//! Functions of numbers.

use super::super::value::{ArithmeticError, Number, Value};
use super::signature::{Arguments, Function, Parameter, Shape};
use super::{FunctionError, Outcome, excerpt};

/// How many numbers `range` gives at most, as in Packer.
const RANGE_MAX: usize = 1024;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abs", &[Parameter::number("num")], abs),
    Function::new("ceil", &[Parameter::number("num")], ceil),
    Function::new("floor", &[Parameter::number("num")], floor),
    Function::new(
        "log",
        &[Parameter::number("num"), Parameter::number("base")],
        log,
    ),
    Function::new("max", &[], max).and_any_number_of(Parameter::number("numbers")),
    Function::new("min", &[], min).and_any_number_of(Parameter::number("numbers")),
    Function::new(
        "parseint",
        &[
            Parameter::new("number", Shape::Any),
            Parameter::number("base"),
        ],
        parseint,
    ),
    Function::new(
        "pow",
        &[Parameter::number("num"), Parameter::number("power")],
        pow,
    ),
    Function::new("range", &[], range).and_any_number_of(Parameter::number("params")),
    Function::new("signum", &[Parameter::number("num")], signum),
    Function::new("sum", &[Parameter::new("list", Shape::Numbers)], sum),
];

fn abs(arguments: &Arguments<'_>) -> Outcome {
    let number = arguments.number(0);
    Ok(match number.is_negative() {
        true => number.negated().into(),
        false => number.clone().into(),
    })
}

fn ceil(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.number(0).ceil().into())
}

fn floor(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.number(0).floor().into())
}

fn log(arguments: &Arguments<'_>) -> Outcome {
    let (number, base) = (arguments.number(0), arguments.number(1));
    binary(number.to_f64().ln() / base.to_f64().ln())
        .ok_or_else(|| FunctionError::new(format!("`{number}` has no logarithm to base `{base}`")))
}

fn pow(arguments: &Arguments<'_>) -> Outcome {
    let (number, power) = (arguments.number(0), arguments.number(1));
    binary(number.to_f64().powf(power.to_f64())).ok_or_else(|| {
        FunctionError::new(format!(
            "`{number}` to the power of `{power}` is no number, or too large"
        ))
    })
}

fn binary(value: f64) -> Option<Value> {
    Number::from_f64(value).map(Value::Number)
}

fn max(arguments: &Arguments<'_>) -> Outcome {
    let largest = numbers(arguments)?.into_iter().max();
    Ok(largest.map_or(Value::Null, |number| number.clone().into()))
}

fn min(arguments: &Arguments<'_>) -> Outcome {
    let smallest = numbers(arguments)?.into_iter().min();
    Ok(smallest.map_or(Value::Null, |number| number.clone().into()))
}

fn numbers<'a>(arguments: &'a Arguments<'_>) -> Result<Vec<&'a Number>, FunctionError> {
    match arguments.count() {
        0 => Err(FunctionError::new("At least one number is needed")
            .with_hint("Spread a list over the arguments with `...`, as in `max(local.sizes...)`")),
        count => Ok((0..count).map(|index| arguments.number(index)).collect()),
    }
}

fn signum(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.integer(0)?.signum().into())
}

fn sum(arguments: &Arguments<'_>) -> Outcome {
    let items = arguments.list(0);
    if items.is_empty() {
        return Err(FunctionError::at(0, "An empty list has no sum"));
    }
    let mut sum = Number::from(0i64);
    for item in items {
        let Value::Number(number) = item else {
            return Err(FunctionError::at(0, "Null cannot be added"));
        };
        sum = sum.plus(number).map_err(too_large)?;
    }
    Ok(sum.into())
}

fn parseint(arguments: &Arguments<'_>) -> Outcome {
    let Value::String(text) = arguments.any(0) else {
        let found = arguments.any(0).shape();
        return Err(FunctionError::at(
            0,
            format!("`number` of `parseint` must be a string, and is {found}"),
        ));
    };
    let base = arguments.number(1);
    let Some(radix) = base.to_i64().filter(|radix| (2..=62).contains(radix)) else {
        let message = format!("`{base}` is no base: it has to be a whole number from 2 to 62");
        return Err(FunctionError::at(1, message));
    };
    let parsed = integer(text, radix);
    parsed.map(Value::Number).ok_or_else(|| {
        FunctionError::at(
            0,
            format!("`{}` is no integer of base {base}", excerpt(text)),
        )
    })
}

/// The integer that a text is in a base. Digits above 9 are letters; above
/// base 36, small ones come before capitals, below they are the same.
fn integer(text: &str, radix: i64) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    let base = Number::from(radix);
    let mut number = Number::from(0i64);
    for byte in digits.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            b'A'..=b'Z' if radix > 36 => byte - b'A' + 36,
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => return None,
        };
        if i64::from(digit) >= radix {
            return None;
        }
        let shifted = number.times(&base).ok()?;
        number = shifted.plus(&Number::from(i64::from(digit))).ok()?;
    }
    Some(match text.starts_with('-') {
        true => number.negated(),
        false => number,
    })
}

fn range(arguments: &Arguments<'_>) -> Outcome {
    let zero = Number::from(0i64);
    let (start, end) = match arguments.count() {
        1 => (&zero, arguments.number(0)),
        2 | 3 => (arguments.number(0), arguments.number(1)),
        count => {
            let message = format!("`range` takes one to three arguments, and got {count}");
            return Err(FunctionError::new(message).with_hint("Write `range(start, end, step)`"));
        }
    };
    let step = match arguments.count() {
        3 => arguments.number(2).clone(),
        _ if end < start => Number::from(-1i64),
        _ => Number::from(1i64),
    };
    check_direction(start, end, &step)?;
    steps(start, end, &step)
}

fn check_direction(start: &Number, end: &Number, step: &Number) -> Result<(), FunctionError> {
    let wrong = match (step.is_zero(), step.is_negative()) {
        (true, _) => "A step of 0 never comes to an end",
        (_, true) if end > start => "The end must not be above the start when the step is negative",
        (_, false) if end < start => {
            "The end must not be below the start when the step is positive"
        }
        _ => return Ok(()),
    };
    Err(FunctionError::at(2, wrong))
}

fn steps(start: &Number, end: &Number, step: &Number) -> Outcome {
    let mut numbers = Vec::new();
    let mut next = start.clone();
    while if step.is_negative() {
        next > *end
    } else {
        next < *end
    } {
        if numbers.len() == RANGE_MAX {
            let message = format!("`range` gives at most {RANGE_MAX} numbers");
            return Err(FunctionError::new(message));
        }
        numbers.push(next.clone());
        next = next.plus(step).map_err(too_large)?;
    }
    Ok(numbers.into())
}

fn too_large(_: ArithmeticError) -> FunctionError {
    FunctionError::new("The result is too large")
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            ("abs(-5.5)", "5.5"),
            (r#"abs("-2")"#, "2"),
            ("ceil(1.2)", "2"),
            (r#"ceil("1.5")"#, "2"),
            ("floor(-1.2)", "-2"),
            ("log(100, 10)", "2"),
            ("log(0, 10)", "! `0` has no logarithm to base `10`"),
            ("log(16, 2)", "4"),
            ("log(10, 1)", "! `10` has no logarithm to base `1`"),
            ("log(8, 2)", "3"),
            (r#"max(1,"5",3)"#, "5"),
            ("max()", "! At least one number is needed"),
            (r#"max("10", 9)"#, "10"),
            (
                "max([1, 2])",
                "! `numbers` of `max` must be a number, and is a list",
            ),
            ("min(2, 1)", "1"),
            (r#"parseint("ff",16)"#, "255"),
            (r#"parseint("Zz",62)"#, "3817"),
            (r#"parseint("FF",16)"#, "255"),
            (r#"parseint("-11",2)"#, "-3"),
            (r#"parseint("1.5",10)"#, "! `1.5` is no integer of base 10"),
            (
                r#"parseint("12",1)"#,
                "! `1` is no base: it has to be a whole number from 2 to 62",
            ),
            (
                "parseint(100, 2)",
                "! `number` of `parseint` must be a string, and is a number",
            ),
            (r#"parseint("", 10)"#, "! `` is no integer of base 10"),
            (r#"parseint("+5", 10)"#, "5"),
            (r#"parseint("5 ", 10)"#, "! `5 ` is no integer of base 10"),
            ("pow(2, 10)", "1024"),
            ("pow(2, 0.5)", "1.4142135623730951"),
            (
                "pow(0, -1)",
                "! `0` to the power of `-1` is no number, or too large",
            ),
            (r#"pow("2", 3)"#, "8"),
            ("range(3)", "[0,1,2]"),
            ("range(1, 4)", "[1,2,3]"),
            ("range(1, 10, 3)", "[1,4,7]"),
            ("range(5, 1)", "[5,4,3,2]"),
            ("range(5, 1, -2)", "[5,3]"),
            (
                "range(0, 5, -1)",
                "! The end must not be above the start when the step is negative",
            ),
            ("range(0, 2000)", "! `range` gives at most 1024 numbers"),
            ("range(0)", "[]"),
            ("range(1, 2, 0)", "! A step of 0 never comes to an end"),
            (r#"range("3")"#, "[0,1,2]"),
            ("range(0.5, 2)", "[0.5,1.5]"),
            ("range(1, 2, 0.25)", "[1,1.25,1.5,1.75]"),
            (
                "range(1, 2, 3, 4)",
                "! `range` takes one to three arguments, and got 4",
            ),
            ("signum(-5)", "-1"),
            ("signum(1.5)", "! `1.5` is not a whole number of 64 bits"),
            (r#"sum([1, 2.5, "3"])"#, "6.5"),
            ("sum([])", "! An empty list has no sum"),
            ("sum([1, null])", "! Null cannot be added"),
            ("floor(1e30)", "1000000000000000000000000000000"),
        ]);
    }
}
