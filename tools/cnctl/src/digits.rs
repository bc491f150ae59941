// SPDX-License-Identifier: GPL-2.0

//! Numbers for lines of which there are many: the standard library's formatting takes several times
//! as many instructions.

/// Appends `number` in decimal, preceded by `fill` up to a width.
pub(crate) fn append(out: &mut String, number: u64, width: usize, fill: char) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    for _ in digits.len()..width {
        out.push(fill);
    }
    out.push_str(digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_the_standard_library_formats_them() {
        for number in [0, 9, 10, 12_345, 999_999, 1_000_000, u64::MAX] {
            let mut out = String::new();
            append(&mut out, number, 0, ' ');
            append(&mut out, number, 6, '0');
            append(&mut out, number, 7, ' ');
            assert_eq!(out, format!("{number}{number:06}{number:>7}"));
        }
    }
}
