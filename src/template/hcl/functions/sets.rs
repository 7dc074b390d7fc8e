//! Functions of sets: sorted lists that have nothing twice.

use std::slice;

use super::super::value::{NoCommonType, Type, Value, unify};
use super::signature::{Arguments, Function, Parameter, Shape};
use super::{FunctionError, Outcome};

/// How many combinations `setproduct` gives at most, so that no template can
/// use up the memory.
const PRODUCT_MAX: usize = 1 << 16;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("setintersection", &[SET], setintersection).and_any_number_of(SET),
    Function::new("setproduct", &[], setproduct)
        .and_any_number_of(Parameter::new("sets", Shape::List).or_unknown()),
    Function::new("setunion", &[SET], setunion).and_any_number_of(SET),
];

const SET: Parameter = Parameter::new("set", Shape::Set);

fn setintersection(arguments: &Arguments<'_>) -> Outcome {
    let mut sets = of_one_type(arguments)?.into_iter();
    let mut common = sets.next().unwrap_or_default();
    for set in sets {
        common.retain(|item| set.contains(item));
    }
    as_set(common)
}

fn setunion(arguments: &Arguments<'_>) -> Outcome {
    as_set(of_one_type(arguments)?.concat())
}

fn of_one_type(arguments: &Arguments<'_>) -> Result<Vec<Vec<Value>>, FunctionError> {
    let sets = unify(arguments.from(0).to_vec()).map_err(|NoCommonType| {
        FunctionError::new("The elements of all sets must have one type")
    })?;
    let items = sets.into_iter().map(|set| match set {
        Value::List(items) => items,
        _ => Vec::new(),
    });
    Ok(items.collect())
}

fn as_set(items: Vec<Value>) -> Outcome {
    let set = Type::Set(Box::new(Type::Any));
    set.convert(Value::List(items))
        .map_err(|_| FunctionError::new("The elements of all sets must have one type"))
}

fn setproduct(arguments: &Arguments<'_>) -> Outcome {
    if arguments.count() < 2 {
        return Err(FunctionError::new("At least two lists are needed"));
    }
    let mut product: Vec<Vec<Value>> = vec![Vec::new()];
    for index in 0..arguments.count() {
        let items = arguments.list(index);
        if product.len().saturating_mul(items.len()) > PRODUCT_MAX {
            let message = format!("`setproduct` gives at most {PRODUCT_MAX} combinations");
            return Err(FunctionError::at(index, message));
        }
        let extended = |combination: &Vec<Value>| -> Vec<Vec<Value>> {
            let with = |item: &Value| [combination.as_slice(), slice::from_ref(item)].concat();
            items.iter().map(with).collect()
        };
        product = product.iter().flat_map(extended).collect();
    }
    Ok(product.into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (r#"setintersection(["a","b"],["b","c"],["b"])"#, r#"["b"]"#),
            (r#"setintersection(["a"],["b"])"#, "[]"),
            (r#"setintersection([1,2],["2"])"#, r#"["2"]"#),
            ("setintersection([], [])", "[]"),
            (
                r#"setproduct([1,2],["a"],[true])"#,
                r#"[[1,"a",true],[2,"a",true]]"#,
            ),
            (r#"setproduct(["a"],[])"#, "[]"),
            (r#"setproduct(["a"])"#, "! At least two lists are needed"),
            ("setunion([3, 1], [2])", "[1,2,3]"),
            (r#"setunion([10,9],["a"])"#, r#"["10","9","a"]"#),
            (r#"setunion([],["a"])"#, r#"["a"]"#),
            (r#"setunion(["a"],[])"#, r#"["a"]"#),
            ("setunion([true], [false])", "[false,true]"),
        ]);
    }
}
