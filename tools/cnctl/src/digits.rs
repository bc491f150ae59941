// SPDX-License-Identifier: GPL-2.0

//! Numbers for lines of which there are many: the standard library's formatting takes several times
//! as many instructions.

/// Appends `number` in decimal, preceded by `fill`, which is ASCII, up to a width of at most 20.
pub(crate) fn append(out: &mut String, mut number: u64, width: usize, fill: u8) {
    // u64::MAX has 20 digits.
    let mut digits = [fill; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        // CAST: a digit fits.
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let start = start.min(digits.len().saturating_sub(width));
    out.push_str(std::str::from_utf8(&digits[start..]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_the_standard_library_formats_them() {
        for number in [0, 9, 10, 12_345, 999_999, 1_000_000, u64::MAX] {
            let mut out = String::new();
            append(&mut out, number, 0, b' ');
            append(&mut out, number, 6, b'0');
            append(&mut out, number, 7, b' ');
            assert_eq!(out, format!("{number}{number:06}{number:>7}"));
        }
    }
}
