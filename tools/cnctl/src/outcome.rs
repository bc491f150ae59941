// SPDX-License-Identifier: GPL-2.0

//! What commands come to.

/// Why a command could not do its work; ends up on one line behind the program's name.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// What a command came to, as an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All that was asked for came.
    Complete,
    /// Something was missing or lost.
    Incomplete,
}

impl Outcome {
    /// The exit status; 2 is an error, in the use of the command line or later.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Incomplete => 1,
        }
    }
}
