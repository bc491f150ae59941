// SPDX-License-Identifier: GPL-2.0

//! The kernel log.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
};

use anyhow::{Context, Result, ensure};
use nix::{errno::Errno, fcntl::OFlag};

use crate::Setting;

/// The kernel's console, which is slow, shows nothing but warnings and worse until this is dropped.
/// The log itself has everything.
pub fn quiet() -> Result<Setting> {
    Setting::change("/proc/sys/kernel/printk", "5")
}

/// What the kernel logs from some moment on.
#[derive(Debug)]
pub struct KernelLog {
    file: File,
}

impl KernelLog {
    /// Begins now.
    pub fn from_now() -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open("/dev/kmsg")
            .context("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file })
    }

    /// The messages since then, or since the last call.
    pub fn messages(&mut self) -> Result<Vec<String>> {
        let mut messages = Vec::new();
        // The most that the kernel puts into one record.
        let mut record = [0; 8192];
        loop {
            match self.file.read(&mut record) {
                Ok(len) => {
                    let record = String::from_utf8_lossy(&record[..len]);
                    // A line of numbers, `;`, and the message; then more about its origin.
                    let line = record.lines().next().unwrap_or_default();
                    let (_, message) = line.split_once(';').unwrap_or_default();
                    messages.push(message.to_owned());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(messages),
                // Records were overwritten; reading goes on with the oldest one left.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {}
                Err(error) => return Err(error).context("reading /dev/kmsg"),
            }
        }
    }

    /// Fails unless a new message contains `text`.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        let messages = self.messages()?;
        ensure!(
            messages.iter().any(|message| message.contains(text)),
            "the kernel log should say `{text}`, and says {messages:#?}"
        );
        Ok(())
    }

    /// Fails if a new message contains `text`.
    pub fn expect_not(&mut self, text: &str) -> Result<()> {
        let messages = self.messages()?;
        let found = messages.iter().find(|message| message.contains(text));
        ensure!(found.is_none(), "the kernel log should not say {found:?}");
        Ok(())
    }
}
