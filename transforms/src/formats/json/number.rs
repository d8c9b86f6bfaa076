//! Numbers: as JSON has them, and as their columns want them.

/// A number of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a> {
    /// As it stands.
    pub(crate) raw: &'a [u8],
    /// Whether it has neither point nor exponent.
    pub(crate) integral: bool,
    /// All its digits, where they are at most 18 and there is no exponent.
    digits: Option<u64>,
    /// How many of them stand behind the point.
    behind_point: usize,
}

/// The number that `bytes` begin with; otherwise how many of them are right.
#[inline]
pub(super) fn read(bytes: &[u8]) -> Result<Number<'_>, usize> {
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let mut value = 0;
    let whole = digits(bytes.get(sign..).unwrap_or_default(), &mut value);
    let mut at = sign + whole;
    if whole == 0 || (whole > 1 && bytes.get(sign) == Some(&b'0')) {
        return Err(sign + usize::from(whole > 0));
    }
    let mut behind_point = 0;
    let mut integral = true;
    let mut plain = true;
    if bytes.get(at) == Some(&b'.') {
        behind_point = digits(bytes.get(at + 1..).unwrap_or_default(), &mut value);
        at += 1 + behind_point;
        integral = false;
        if behind_point == 0 {
            return Err(at);
        }
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(bytes.get(at + 1 + sign..).unwrap_or_default(), &mut 0);
        at += 1 + sign + exponent;
        (integral, plain) = (false, false);
        if exponent == 0 {
            return Err(at);
        }
    }
    let digits = (plain && whole + behind_point <= 18).then_some(value);
    Ok(Number { raw: bytes.get(..at).unwrap_or_default(), integral, digits, behind_point })
}

/// Appends the digits that `bytes` begin with to `value`, which wraps, and gives their number.
#[inline]
fn digits(bytes: &[u8], value: &mut u64) -> usize {
    let mut count = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    count
}

impl Number<'_> {
    /// The number without its fraction, as Java's `longValue` has it; none past 64 bits.
    #[inline]
    pub(crate) fn truncated(&self) -> Option<i64> {
        match self.digits {
            Some(digits) if self.integral => {
                let magnitude = i64::try_from(digits).ok()?;
                Some(if self.raw.first() == Some(&b'-') { -magnitude } else { magnitude })
            }
            _ => i64::try_from(unscaled(self.raw, 0, Rounding::Down)?).ok(),
        }
    }

    /// The closest double; infinite where there is none.
    #[inline]
    pub(crate) fn double(&self) -> f64 {
        if let (Some(digits @ ..EXACT), Some(power)) = (self.digits, POWERS.get(self.behind_point)) {
            // Both are exact, so their quotient is rounded once.
            #[expect(clippy::cast_precision_loss, reason = "below 2^53 nothing is lost")]
            let magnitude = digits as f64 / power;
            return if self.raw.first() == Some(&b'-') { -magnitude } else { magnitude };
        }
        text(self.raw).parse().unwrap_or(f64::INFINITY)
    }

    /// The closest float; infinite where there is none.
    pub(crate) fn float(&self) -> f32 {
        text(self.raw).parse().unwrap_or(f32::INFINITY)
    }
}

/// A number's bytes, all of which are ASCII, as text.
fn text(raw: &[u8]) -> &str {
    std::str::from_utf8(raw).unwrap_or_default()
}

/// What becomes of digits that are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// They are cut off.
    Down,
    /// Half and more of the last digit makes it one more, away from zero.
    HalfUp,
}

/// `literal × 10^scale` as a whole number: exact, but for the digits that are too many. None past 38 digits.
///
/// `literal` is a [decimal literal](is_decimal).
pub(crate) fn unscaled(literal: &[u8], scale: i64, rounding: Rounding) -> Option<i128> {
    let split = literal.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (number, exponent) = split.map_or((literal, 0), |at| {
        (literal.get(..at).unwrap_or_default(), power_of_ten(literal.get(at + 1..).unwrap_or_default()))
    });
    let whole = number.iter().take_while(|byte| **byte != b'.').filter(|byte| byte.is_ascii_digit()).count();
    // How many of the digits stand before the point of the result; past the last one there are noughts.
    let mut wanted = i64::try_from(whole).ok()?.saturating_add(exponent).saturating_add(scale);
    let mut value = 0_i128;
    for digit in number.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| i128::from(byte - b'0')) {
        if wanted <= 0 {
            if wanted == 0 && rounding == Rounding::HalfUp && digit >= 5 {
                value += 1;
            }
            break;
        }
        value = value * 10 + digit;
        wanted -= 1;
        if value >= PAST_38_DIGITS {
            return None;
        }
    }
    while wanted > 0 && value != 0 {
        value *= 10;
        wanted -= 1;
        if value >= PAST_38_DIGITS {
            return None;
        }
    }
    // Rounding up may have made it longer.
    (value < PAST_38_DIGITS).then_some(if number.first() == Some(&b'-') { -value } else { value })
}

/// The number behind an `e`, of either sign; as good as endless past nine digits.
fn power_of_ten(exponent: &[u8]) -> i64 {
    let digits = exponent.iter().filter(|byte| byte.is_ascii_digit());
    let value = digits.fold(0_i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1_000_000_000));
    if exponent.first() == Some(&b'-') { -value } else { value }
}

/// Whether `text` is a number as Java reads it from a string: a sign, digits with a point anywhere, an exponent.
pub(crate) fn is_decimal(text: &[u8]) -> bool {
    let unsigned = |text: &[u8]| usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let count = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.get(unsigned(text)..).unwrap_or_default();
    let mut digits = count(rest);
    rest = rest.get(digits..).unwrap_or_default();
    if let [b'.', after @ ..] = rest {
        let behind = count(after);
        digits += behind;
        rest = after.get(behind..).unwrap_or_default();
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let exponent = after.get(unsigned(after)..).unwrap_or_default();
        return digits > 0 && !exponent.is_empty() && count(exponent) == exponent.len();
    }
    digits > 0 && rest.is_empty()
}

/// 2^53: below it, a double has every whole number.
const EXACT: u64 = 1 << 53;
const PAST_38_DIGITS: i128 = 10_i128.pow(38);
/// The powers of ten that a double has exactly, as far as 18 digits need them.
const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];
