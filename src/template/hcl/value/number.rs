//! Exact numbers: fractions of integers of any size.
//!
//! Packer computes with binary floating point of 512 bits, so precise that a
//! template cannot tell it from exact numbers: `0.1 + 0.2` is `0.3`, and
//! `10 / 3 * 3` is `10`. What has no end in decimal is written as those 512
//! bits are.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, BigUint, Sign};
use num_integer::Integer;

/// How large numerator and denominator may grow. Far beyond what anybody
/// computes, and small enough that no template can use up the memory.
const BITS_MAX: u64 = 16_384;

/// The largest power of ten that a literal may have, in either direction.
const EXPONENT_MAX: i64 = 4_000;

/// The precision that Packer computes with, which shows where a number has no
/// end in decimal.
const PRECISION: i64 = 512;

/// A number, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::template::hcl) struct Number {
    numerator: BigInt,
    /// Positive, and without a factor that the numerator has too.
    denominator: BigInt,
}

/// Why a computation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::template::hcl) enum ArithmeticError {
    /// Division by zero, or the remainder of one.
    DivisionByZero,
    /// The result is too large to go on with.
    OutOfRange,
}

impl fmt::Display for ArithmeticError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DivisionByZero => "division by zero",
            Self::OutOfRange => "the result is too large",
        })
    }
}

type Computed = Result<Number, ArithmeticError>;

impl Number {
    /// Reads a decimal number, with sign, fraction and exponent if it has
    /// them. Nothing when it is none, or too large.
    pub(in crate::template::hcl) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = [whole, fraction].concat();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let shift = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        if !is_number || shift.abs() > EXPONENT_MAX || digits.len() > EXPONENT_MAX as usize {
            return None;
        }
        let magnitude = digits.parse::<BigInt>().ok()?;
        let integer = if mantissa.starts_with('-') {
            -magnitude
        } else {
            magnitude
        };
        Some(Self::scaled(integer, shift))
    }

    /// The number that is nearest to a binary one. Nothing for infinities and
    /// what is no number.
    pub(in crate::template::hcl) fn from_f64(value: f64) -> Option<Self> {
        Self::parse(&format!("{value:e}"))
    }

    /// The binary number that is nearest.
    pub(in crate::template::hcl) fn to_f64(&self) -> f64 {
        // More digits than a binary number tells apart.
        let (integer, shift) = self.decimal(40);
        format!("{integer}e{shift}").parse().unwrap_or(f64::NAN)
    }

    /// The magnitude with so many digits behind the point.
    pub(in crate::template::hcl) fn fixed(&self, places: usize) -> String {
        let rounded = self.rounded().at_scale(places as i64);
        let digits = rounded.magnitude().to_string();
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        match fraction {
            "" => whole.to_owned(),
            _ => format!("{whole}.{fraction}"),
        }
    }

    /// The digits of the magnitude, without zeros at either end, and where the
    /// point stands in them: `(25, -1)` is 0.025. Rounded to so many digits,
    /// or as many as tell the number from any other.
    pub(in crate::template::hcl) fn digits(&self, significant: Option<usize>) -> (String, i64) {
        let rounded = self.rounded();
        let (integer, shift) = match significant {
            None => rounded.shortest(),
            Some(count) => rounded.significant(count),
        };
        let digits = integer.magnitude().to_string();
        let point = digits.len() as i64 + shift;
        match digits.trim_end_matches('0') {
            "" => (String::new(), 0),
            digits => (digits.to_owned(), point),
        }
    }

    /// The integer, if it is one that fits.
    pub(in crate::template::hcl) fn to_i64(&self) -> Option<i64> {
        self.integer()
            .and_then(|integer| i64::try_from(integer).ok())
    }

    /// The index or count, if it is one.
    pub(in crate::template::hcl) fn to_usize(&self) -> Option<usize> {
        self.integer()
            .and_then(|integer| usize::try_from(integer).ok())
    }

    /// The integer, if it is one.
    pub(in crate::template::hcl) fn integer(&self) -> Option<&BigInt> {
        (self.denominator == BigInt::from(1)).then_some(&self.numerator)
    }

    /// Whether it is zero.
    pub(in crate::template::hcl) fn is_zero(&self) -> bool {
        self.numerator.sign() == Sign::NoSign
    }

    /// Whether it is below zero.
    pub(in crate::template::hcl) fn is_negative(&self) -> bool {
        self.numerator.sign() == Sign::Minus
    }

    /// The number with the other sign.
    pub(in crate::template::hcl) fn negated(&self) -> Self {
        Self {
            numerator: -self.numerator.clone(),
            denominator: self.denominator.clone(),
        }
    }

    /// The sum.
    pub(in crate::template::hcl) fn plus(&self, other: &Self) -> Computed {
        Self::bounded(
            &self.numerator * &other.denominator + &other.numerator * &self.denominator,
            &self.denominator * &other.denominator,
        )
    }

    /// The difference.
    pub(in crate::template::hcl) fn minus(&self, other: &Self) -> Computed {
        self.plus(&other.negated())
    }

    /// The product.
    pub(in crate::template::hcl) fn times(&self, other: &Self) -> Computed {
        Self::bounded(
            &self.numerator * &other.numerator,
            &self.denominator * &other.denominator,
        )
    }

    /// The quotient.
    pub(in crate::template::hcl) fn divided_by(&self, other: &Self) -> Computed {
        if other.is_zero() {
            return Err(ArithmeticError::DivisionByZero);
        }
        Self::bounded(
            &self.numerator * &other.denominator,
            &self.denominator * &other.numerator,
        )
    }

    /// What is left of a division; it has the sign of the dividend.
    pub(in crate::template::hcl) fn remainder(&self, other: &Self) -> Computed {
        let quotient = self.divided_by(other)?;
        let whole = Self::from(&quotient.numerator / &quotient.denominator);
        self.minus(&other.times(&whole)?)
    }

    /// The largest integer that is not larger.
    pub(in crate::template::hcl) fn floor(&self) -> Self {
        Self::from(self.numerator.div_floor(&self.denominator))
    }

    /// The smallest integer that is not smaller.
    pub(in crate::template::hcl) fn ceil(&self) -> Self {
        self.negated().floor().negated()
    }

    fn bounded(numerator: BigInt, denominator: BigInt) -> Computed {
        let number = Self::reduced(numerator, denominator);
        if number.numerator.bits().max(number.denominator.bits()) > BITS_MAX {
            return Err(ArithmeticError::OutOfRange);
        }
        Ok(number)
    }

    /// `denominator` is not zero.
    fn reduced(numerator: BigInt, denominator: BigInt) -> Self {
        let mut common = numerator.gcd(&denominator);
        if denominator.sign() == Sign::Minus {
            common = -common;
        }
        Self {
            numerator: numerator / &common,
            denominator: denominator / common,
        }
    }

    /// An integer times a power of ten.
    fn scaled(integer: BigInt, shift: i64) -> Self {
        let power = BigInt::from(10).pow(shift.unsigned_abs() as u32);
        if shift < 0 {
            Self::reduced(integer, power)
        } else {
            Self::from(integer * power)
        }
    }

    /// The nearest binary number of 512 bits.
    fn rounded(&self) -> Self {
        let shift = PRECISION - self.magnitude();
        let (numerator, denominator) = self.shifted(shift);
        let mantissa = nearest(&numerator, &denominator);
        let unit = BigInt::from(1) << shift.unsigned_abs();
        if shift < 0 {
            Self::from(mantissa * unit)
        } else {
            Self::reduced(mantissa, unit)
        }
    }

    /// Numerator and denominator of the number times a power of two.
    fn shifted(&self, shift: i64) -> (BigInt, BigInt) {
        let (mut numerator, mut denominator) = (self.numerator.clone(), self.denominator.clone());
        if shift < 0 {
            denominator <<= shift.unsigned_abs();
        } else {
            numerator <<= shift.unsigned_abs();
        }
        (numerator, denominator)
    }

    /// The power of two that is just larger than the number without its sign.
    fn magnitude(&self) -> i64 {
        let guess = self.numerator.bits() as i64 - self.denominator.bits() as i64;
        let (numerator, denominator) = self.shifted(-guess);
        if numerator.magnitude() < denominator.magnitude() {
            guess
        } else {
            guess + 1
        }
    }

    /// The nearest integer to the number times a power of ten.
    fn at_scale(&self, shift: i64) -> BigInt {
        let power = BigInt::from(10).pow(shift.unsigned_abs() as u32);
        if shift < 0 {
            nearest(&self.numerator, &(&self.denominator * power))
        } else {
            nearest(&(&self.numerator * power), &self.denominator)
        }
    }

    /// The nearest integer times a power of ten that has about so many
    /// significant digits: one more or less.
    fn decimal(&self, digits: i64) -> (BigInt, i64) {
        let length = |integer: &BigInt| (integer.bits() as i64 * 30_103) / 100_000;
        let shift = digits - (length(&self.numerator) - length(&self.denominator));
        (self.at_scale(shift), -shift)
    }

    /// The nearest integer times a power of ten that has so many significant
    /// digits.
    fn significant(&self, count: usize) -> (BigInt, i64) {
        // Enough digits that rounding does not change how many there are.
        let (integer, shift) = self.decimal(count as i64 + 200);
        let surplus = integer.magnitude().to_string().len() as i64 - count as i64;
        let shift = shift + surplus;
        (self.at_scale(-shift), shift)
    }

    /// The shortest decimal that is nearer to this number of 512 bits than to
    /// any other.
    fn shortest(&self) -> (BigInt, i64) {
        let half_unit = PRECISION - self.magnitude() + 1;
        let is_near = |candidate: &Self| {
            let (one, other) = (&candidate.denominator, &self.denominator);
            let distance = &candidate.numerator * other - &self.numerator * one;
            let (numerator, denominator) = Self {
                numerator: distance,
                denominator: one * other,
            }
            .shifted(half_unit);
            numerator.magnitude() <= denominator.magnitude()
        };
        (0..160)
            .map(|digits| self.decimal(digits))
            .find(|(integer, shift)| is_near(&Self::scaled(integer.clone(), *shift)))
            .unwrap_or_else(|| self.decimal(160))
    }
}

/// The integer that is nearest to a fraction; the even one of two.
fn nearest(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let (floor, rest) = numerator.div_mod_floor(denominator);
    match (rest * 2u8).cmp(denominator) {
        Ordering::Less => floor,
        Ordering::Greater => floor + 1,
        Ordering::Equal if floor.is_even() => floor,
        Ordering::Equal => floor + 1,
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = &self.numerator * &other.denominator;
        left.cmp(&(&other.numerator * &self.denominator))
    }
}

impl From<BigInt> for Number {
    fn from(integer: BigInt) -> Self {
        Self {
            numerator: integer,
            denominator: BigInt::from(1),
        }
    }
}

impl From<i64> for Number {
    fn from(integer: i64) -> Self {
        Self::from(BigInt::from(integer))
    }
}

impl From<usize> for Number {
    fn from(integer: usize) -> Self {
        Self::from(BigInt::from(integer))
    }
}

/// As it stands in a string: never with an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(integer) = self.integer() {
            return integer.fmt(f);
        }
        let (integer, shift) = self.rounded().shortest();
        f.write_str(&positional(&integer, shift))
    }
}

/// An integer times a power of ten, written out.
fn positional(integer: &BigInt, shift: i64) -> String {
    let sign = if integer.sign() == Sign::Minus {
        "-"
    } else {
        ""
    };
    let digits = BigUint::to_string(integer.magnitude());
    let places = shift.unsigned_abs() as usize;
    if shift >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(places));
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let fraction = fraction.trim_end_matches('0');
    match fraction {
        "" => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect("a number")
    }

    #[test]
    fn numbers_are_read_and_written_as_packer_does() {
        let rows = [
            ("0", "0"),
            ("-0", "0"),
            ("+7", "7"),
            ("1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e21", "1000000000000000000000"),
            ("1e-10", "0.0000000001"),
            ("-12.5e1", "-125"),
            ("-0.001", "-0.001"),
            ("123456789.123456789", "123456789.123456789"),
            ("9223372036854775808", "9223372036854775808"),
            ("0.30000000000000004", "0.30000000000000004"),
        ];
        for (text, written) in rows {
            assert_eq!(number(text).to_string(), written, "{text}");
        }
    }

    #[test]
    fn very_small_numbers_are_written_out() {
        let written = number("1e-4000").to_string();
        assert_eq!(written, format!("0.{}1", "0".repeat(3999)));
        let product = number("3e-2000").times(&number("1e-1000"));
        let written = product.expect("in range").to_string();
        assert_eq!(written, format!("0.{}3", "0".repeat(2999)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "0x10",
            "1e",
            "e1",
            "1_000",
            ".",
            "-",
            "Inf",
            "1e4001",
            "1e99999999999999999999",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact() {
        let (one, three, ten) = (number("1"), number("3"), number("10"));
        assert_eq!(number("0.1").plus(&number("0.2")), Ok(number("0.3")));
        assert_eq!(number("0.3").minus(&number("0.1")), Ok(number("0.2")));
        let third = ten.divided_by(&three).expect("a third");
        assert_eq!(third.times(&three), Ok(ten));
        assert_eq!(
            one.divided_by(&number("0")),
            Err(ArithmeticError::DivisionByZero)
        );
        assert_eq!(
            one.remainder(&number("0")),
            Err(ArithmeticError::DivisionByZero)
        );
        let large = number("1e4000");
        assert_eq!(large.times(&large), Err(ArithmeticError::OutOfRange));
    }

    #[test]
    fn the_remainder_has_the_sign_of_the_dividend() {
        let rows = [
            ("5", "3", "2"),
            ("-5", "3", "-2"),
            ("5", "-3", "2"),
            ("5.5", "2", "1.5"),
        ];
        for (dividend, divisor, rest) in rows {
            let computed = number(dividend).remainder(&number(divisor));
            assert_eq!(computed, Ok(number(rest)), "{dividend} % {divisor}");
        }
    }

    #[test]
    fn what_has_no_end_is_written_with_512_bits() {
        let third = number("1").divided_by(&number("3")).expect("a third");
        assert_eq!(third.to_string(), format!("0.{}5", "3".repeat(154)));
        let two_thirds = number("2").divided_by(&number("3")).expect("two thirds");
        assert_eq!(two_thirds.to_string(), format!("0.{}7", "6".repeat(153)));
    }

    #[test]
    fn whole_parts_and_order() {
        let rows = [
            ("1.5", "1", "2"),
            ("-1.5", "-2", "-1"),
            ("3", "3", "3"),
            ("-0.5", "-1", "0"),
        ];
        for (text, floor, ceil) in rows {
            assert_eq!(number(text).floor(), number(floor), "{text}");
            assert_eq!(number(text).ceil(), number(ceil), "{text}");
        }
        assert!(number("-1") < number("-0.5"));
        assert!(number("10") > number("9.99"));
    }

    #[test]
    fn binary_numbers_come_and_go() {
        for value in [0.1, -2.5, 1e300, 5e-324, 123_456_789.0, 1.0 / 3.0] {
            let number = Number::from_f64(value).expect("finite");
            assert_eq!(number.to_f64(), value);
        }
        assert_eq!(Number::from_f64(f64::INFINITY), None);
        assert_eq!(Number::from_f64(f64::NAN), None);
        assert_eq!(number("3").to_usize(), Some(3));
        assert_eq!(number("-3").to_usize(), None);
        assert_eq!(number("3.5").to_i64(), None);
    }
}
