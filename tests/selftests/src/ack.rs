// SPDX-License-Identifier: GPL-2.0

//! Acknowledgements: what netlink answers to a message that asked for one.

use anyhow::{Context, Result, bail, ensure};
use connector_wire::{Header, netlink::NlHeader};
use nix::errno::Errno;

use crate::{Client, datagram};

/// `NLM_F_ACK`: asks for one.
pub const NLM_F_ACK: u16 = 4;
/// `NLMSG_ERROR`: the type of one.
pub const NLMSG_ERROR: u16 = 2;
/// `NLM_F_CAPPED`: there is no more of the request in it than its header.
const NLM_F_CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: there are attributes.
const NLM_F_ACK_TLVS: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`: the attribute that is a text.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The netlink header of the acknowledgement itself.
    pub netlink: NlHeader,
    /// 0, or why the message was not handled.
    pub error: i32,
    /// The netlink header of the message.
    pub of: NlHeader,
    /// What it repeats of what was behind that.
    pub payload: Vec<u8>,
    /// The text, where the socket wants one.
    pub text: Option<String>,
}

impl Ack {
    /// Takes a datagram apart, which has to be an acknowledgement in every length.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let header = NlHeader::parse(bytes).context("less than a netlink header")?;
        ensure!(header.kind == NLMSG_ERROR, "no acknowledgement: {header:?}");
        ensure!(
            header.len as usize == bytes.len(),
            "{header:?} in {} bytes",
            bytes.len()
        );
        let (error, rest) = bytes[NlHeader::SIZE..]
            .split_first_chunk()
            .context("no error number")?;
        let of = NlHeader::parse(rest).context("no header of the message")?;
        let repeated = match header.flags & NLM_F_CAPPED {
            0 => of.len as usize,
            _ => NlHeader::SIZE,
        };
        let payload = rest.get(NlHeader::SIZE..repeated).context("cut off")?;
        let attributes = rest.get(repeated.next_multiple_of(4)..).unwrap_or_default();
        let text = match header.flags & NLM_F_ACK_TLVS {
            0 => None,
            _ => Some(text(attributes)?),
        };
        Ok(Self {
            netlink: header,
            error: i32::from_ne_bytes(*error),
            of,
            payload: payload.to_vec(),
            text,
        })
    }

    /// Receives an acknowledgement, which must be there already.
    pub fn receive(client: &Client) -> Result<Self> {
        Self::parse(&client.recv_raw().context("no acknowledgement")?)
    }

    /// Fails unless this is the acknowledgement, with this error, of a message with that header.
    pub fn expect(&self, client: &Client, error: Option<Errno>, of: &NlHeader) -> Result<()> {
        let expected = error.map_or(0, |errno| -(errno as i32));
        ensure!(
            self.error == expected,
            "the message was acknowledged with {}, and should be with {expected}",
            self.error
        );
        ensure!(
            (self.netlink.seq, self.netlink.portid) == (of.seq, client.portid()),
            "to {}, seq {}: {self:?}",
            client.portid(),
            of.seq
        );
        ensure!(self.of == *of, "it is about {of:?}, and says {:?}", self.of);
        Ok(())
    }
}

fn text(attributes: &[u8]) -> Result<String> {
    let (head, rest) = attributes
        .split_first_chunk::<4>()
        .context("no attribute")?;
    let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
    let kind = u16::from_ne_bytes([head[2], head[3]]);
    let bytes = rest
        .get(..len.saturating_sub(4))
        .context("an attribute ends too late")?;
    match bytes.split_last() {
        Some((0, text)) if kind == NLMSGERR_ATTR_MSG => Ok(String::from_utf8(text.to_vec())?),
        _ => bail!("attribute {kind} of {len} bytes: {bytes:?}"),
    }
}

/// [`datagram`], with `NLM_F_ACK`.
pub fn asking(header: &Header, data: &[u8]) -> Vec<u8> {
    with_flag(&datagram(header, data))
}

/// A datagram whose first message asks for an acknowledgement.
pub fn with_flag(datagram: &[u8]) -> Vec<u8> {
    let mut datagram = datagram.to_vec();
    datagram[6..8].copy_from_slice(&NLM_F_ACK.to_ne_bytes());
    datagram
}
