//! Numbers of any size and precision, as Terraform has them.

use std::fmt;

/// A decimal number, kept in the spelling it came in.
///
/// Terraform computes with 512 bits of precision and sends what a machine
/// number cannot hold as decimal text, so text is the one form that loses
/// nothing. Equality is by value: `1.50` equals `15e-1`.
#[derive(Clone)]
pub struct Number(String);

impl Number {
    /// Parses decimal text such as `-1.5e3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Canonical::parse(text).map(|_| Self(text.to_owned()))
    }

    /// Takes a finite machine number; infinities and NaN have no decimal text.
    #[must_use]
    pub fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then(|| Self(number.to_string()))
    }

    /// The spelling the number came in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as a signed integer, when it is one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.0
            .parse()
            .ok()
            .or_else(|| Canonical::parse(&self.0)?.integer()?.parse().ok())
    }

    /// The number as an unsigned integer, when it is one and fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0
            .parse()
            .ok()
            .or_else(|| Canonical::parse(&self.0)?.integer()?.parse().ok())
    }

    /// The nearest machine number.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || Canonical::parse(&self.0) == Canonical::parse(&other.0)
    }
}

impl Eq for Number {}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `±0.DIGITS × 10^exponent` with neither leading nor trailing zeros.
#[derive(PartialEq, Eq)]
struct Canonical {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Canonical {
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction)
        {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let leading = digits.len() - digits.trim_start_matches('0').len();
        let digits = digits.trim_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Self {
            negative,
            digits,
            exponent: i64::from(exponent) + point,
        })
    }

    /// The text of the integer this is, unless it has a fraction or more
    /// digits than any machine integer.
    fn integer(&self) -> Option<String> {
        let length = usize::try_from(self.exponent).ok()?;
        if self.digits.len() > length || length > 20 {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        let zeros = if self.digits.is_empty() {
            "0".to_owned()
        } else {
            "0".repeat(length - self.digits.len())
        };
        Some(format!("{sign}{}{zeros}", self.digits))
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn equal_numbers_may_be_spelled_differently() {
        let same = [
            ("1.50", "15e-1"),
            ("0.1", "0.10"),
            ("-0", "0"),
            ("1e300", &format!("1{}", "0".repeat(300))),
            ("0.00012", "1.2e-4"),
            ("+7", "7"),
        ];
        for (a, b) in same {
            assert_eq!(Number::parse(a), Number::parse(b), "{a} {b}");
        }
        assert_ne!(Number::parse("1"), Number::parse("-1"));
        assert_ne!(Number::parse("10"), Number::parse("1"));
        assert_ne!(
            Number::parse("123456789012345678901234567890"),
            Number::parse("123456789012345678901234567891"),
        );
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        for text in ["", "-", ".", "1.2.3", "0x10", "1e", "NaN", "inf", "1 "] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn integers_are_found_in_any_spelling() {
        assert_eq!(Number::parse("12e2").unwrap().as_i64(), Some(1200));
        assert_eq!(Number::parse("5.0").unwrap().as_i64(), Some(5));
        assert_eq!(Number::parse("0.0").unwrap().as_i64(), Some(0));
        assert_eq!(
            Number::parse("18446744073709551615").unwrap().as_u64(),
            Some(u64::MAX)
        );
        assert_eq!(
            Number::parse("18446744073709551615").unwrap().as_i64(),
            None
        );
        assert_eq!(Number::parse("1.5").unwrap().as_i64(), None);
        assert_eq!(Number::parse("1e300").unwrap().as_i64(), None);
    }
}
