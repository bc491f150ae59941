// SPDX-License-Identifier: GPL-2.0

//! Numbers for lines of which there are many: the standard library's formatting takes several times
//! as many instructions.

/// What a number is preceded by.
const SPACES: &str = "                    ";

/// Appends `number` in decimal, preceded by spaces up to a width of at most 20.
pub(crate) fn append(out: &mut String, number: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    if digits.len() < width {
        out.push_str(&SPACES[..(width - digits.len()).min(SPACES.len())]);
    }
    out.push_str(digits);
}

/// Appends a part of a second that is less than one, in units of which there are `whole` to the
/// second: 1000 or another power of ten. All of its digits are there, as they are behind a point.
pub(crate) fn append_fraction(out: &mut String, part: u32, whole: u32) {
    let mut buffer = itoa::Buffer::new();
    // In front is the 1 of `whole`.
    out.push_str(&buffer.format(whole + part)[1..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_the_standard_library_formats_them() {
        for number in [0, 9, 10, 12_345, 999_999, 1_000_000, u64::MAX] {
            let mut out = String::new();
            append(&mut out, number, 0);
            append(&mut out, number, 7);
            append(&mut out, number, 20);
            assert_eq!(out, format!("{number}{number:>7}{number:>20}"));
        }
    }

    #[test]
    fn fractions_have_all_of_their_digits() {
        for part in [0, 7, 70, 999] {
            let mut out = String::new();
            append_fraction(&mut out, part, 1000);
            append_fraction(&mut out, part, 1_000_000);
            assert_eq!(out, format!("{part:03}{part:06}"));
        }
    }
}
