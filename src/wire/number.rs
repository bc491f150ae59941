// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Numbers as people write them.

/// Reads a number, decimal or hexadecimal with `0x`; without a sign.
///
/// # Examples
///
/// ```
/// use connector_wire::parse_number;
///
/// assert_eq!(parse_number("0x1F"), Some(31));
/// assert_eq!(parse_number("+1"), None);
/// ```
pub fn parse_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // from_str_radix() would take a sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}
