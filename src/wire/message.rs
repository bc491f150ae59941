// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Taking the payload of a connector datagram apart.

use core::fmt;

use crate::Header;

/// A message as it lies in a buffer: its header, and exactly the data that the header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawMessage<'a> {
    /// The header.
    pub header: Header,
    /// The data; `header.len` bytes.
    pub data: &'a [u8],
}

/// Why bytes are not a sequence of connector messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// At `offset` a header should begin, but only `left` bytes are left.
    ShortHeader {
        /// Where the header should begin, in bytes from the start of the payload.
        offset: usize,
        /// How many bytes there are from there on.
        left: usize,
    },
    /// The header at `offset` announces `announced` bytes of data, but only `left` follow it.
    ShortData {
        /// Where the header begins, in bytes from the start of the payload.
        offset: usize,
        /// The header's `len`.
        announced: u16,
        /// How many bytes follow the header.
        left: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortHeader { offset, left } => write!(
                f,
                "a message header of {} bytes is due at offset {offset}, where {left} bytes are \
                left",
                Header::SIZE
            ),
            Self::ShortData {
                offset,
                announced,
                left,
            } => write!(
                f,
                "the message at offset {offset} announces {announced} bytes of data, {left} follow"
            ),
        }
    }
}

impl core::error::Error for ParseError {}

/// The messages in the payload of one datagram, in order.
///
/// Usually there is one; `cn_netlink_send_mult()` puts several behind each other, without padding.
/// An empty payload has no messages. After the first error the iterator ends: nothing behind a
/// malformed message can be trusted.
///
/// # Examples
///
/// ```
/// use connector_wire::{Header, Messages};
///
/// let bytes = Header::default().to_bytes();
/// let message = Messages::new(&bytes).next().unwrap().unwrap();
/// assert!(message.data.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Messages<'a> {
    /// Iterates over the messages in `payload`.
    #[inline]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self {
            rest: payload,
            offset: 0,
        }
    }

    /// Splits `rest`, which is not empty, after its first message.
    fn split_first(&self) -> Result<(RawMessage<'a>, &'a [u8]), ParseError> {
        let short_header = ParseError::ShortHeader {
            offset: self.offset,
            left: self.rest.len(),
        };
        let header = Header::parse(self.rest).ok_or(short_header)?;
        let body = self.rest.get(Header::SIZE..).ok_or(short_header)?;
        let (data, rest) =
            body.split_at_checked(header.len.into())
                .ok_or(ParseError::ShortData {
                    offset: self.offset,
                    announced: header.len,
                    left: body.len(),
                })?;
        Ok((RawMessage { header, data }, rest))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<RawMessage<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(match self.split_first() {
            Ok((message, rest)) => {
                self.offset += self.rest.len() - rest.len();
                self.rest = rest;
                Ok(message)
            }
            Err(error) => {
                self.rest = &[];
                Err(error)
            }
        })
    }
}
