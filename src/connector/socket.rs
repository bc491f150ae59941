// SPDX-License-Identifier: GPL-2.0

//! Telling sockets apart.

use core::fmt;

use crate::bindings;

/// Which socket a message came from, or would go to.
///
/// Two of them are equal if they mean the same socket. A handler that keeps one to recognise a
/// [`Listener`](crate::Listener) must expect that the socket was closed meanwhile, and that
/// another one took its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SocketId(usize);

impl SocketId {
    pub(crate) fn new(socket: *const bindings::sock) -> Self {
        Self(socket.addr())
    }
}

/// Does not print the address, which would tell an attacker where the kernel keeps its sockets.
impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketId(..)")
    }
}
