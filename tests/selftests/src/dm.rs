// SPDX-License-Identifier: GPL-2.0

//! The device mapper, as far as a mirror takes it whose log a program keeps: what it is asked by
//! (`include/uapi/linux/dm-ioctl.h`), and what it asks that program (`dm-log-userspace.h`).

use std::{fs::File, os::fd::AsRawFd};

use anyhow::{Context, Result, ensure};
use connector_wire::CbId;
use nix::errno::Errno;

use crate::{Client, Header};

/// The id of those who keep logs: `{CN_IDX_DM, CN_VAL_DM_USERSPACE_LOG}`.
pub const LOG: CbId = CbId { idx: 7, val: 1 };

/// `struct dm_ioctl`.
#[repr(C)]
struct Request {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_nr: u32,
    padding: u32,
    dev: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
}

/// A [`Request`] with the `struct dm_target_spec` of one target, and its parameters.
#[repr(C)]
struct TableLoad {
    request: Request,
    sector_start: u64,
    length: u64,
    status: i32,
    next: u32,
    target_type: [u8; 16],
    parameters: [u8; 256],
}

mod ioctls {
    use super::Request;

    nix::ioctl_readwrite!(dev_create, 0xfd, 3, Request);
    nix::ioctl_readwrite!(dev_remove, 0xfd, 4, Request);
    nix::ioctl_readwrite!(table_load, 0xfd, 9, Request);
}

fn padded<const N: usize>(text: &str) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    // One stays 0.
    let place = bytes[..N - 1].get_mut(..text.len());
    place
        .with_context(|| format!("{text}: too long"))?
        .copy_from_slice(text.as_bytes());
    Ok(bytes)
}

/// A device that the device mapper has made; dropping it removes it.
pub struct Device {
    control: File,
    name: [u8; 128],
}

impl Device {
    /// Makes one.
    pub fn create(name: &str) -> Result<Self> {
        const CONTROL: &str = "/dev/mapper/control";
        let mut options = File::options();
        let device = Self {
            control: options
                .read(true)
                .write(true)
                .open(CONTROL)
                .context(CONTROL)?,
            name: padded(name)?,
        };
        let mut request = device.request(size_of::<Request>())?;
        // SAFETY: The kernel reads and writes no more than the request.
        unsafe { ioctls::dev_create(device.control.as_raw_fd(), &mut request) }
            .context("DM_DEV_CREATE")?;
        Ok(device)
    }

    /// Gives it a table of one target.
    pub fn load(&self, sectors: u64, target: &str, parameters: &str) -> Result<Result<(), Errno>> {
        let mut load = TableLoad {
            request: self.request(size_of::<TableLoad>())?,
            sector_start: 0,
            length: sectors,
            status: 0,
            next: 0,
            target_type: padded(target)?,
            parameters: padded(parameters)?,
        };
        load.request.target_count = 1;
        // SAFETY: The kernel reads and writes as many bytes as the request says that there are.
        let loaded =
            unsafe { ioctls::table_load(self.control.as_raw_fd(), (&raw mut load).cast()) };
        Ok(loaded.map(drop))
    }

    fn request(&self, size: usize) -> Result<Request> {
        Ok(Request {
            version: [4, 0, 0],
            data_size: size.try_into()?,
            data_start: size_of::<Request>().try_into()?,
            target_count: 0,
            open_count: 0,
            flags: 0,
            event_nr: 0,
            padding: 0,
            dev: 0,
            name: self.name,
            uuid: [0; 129],
            data: [0; 7],
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Ok(mut request) = self.request(size_of::<Request>()) {
            // That it cannot be removed shows when its module is to go.
            //
            // SAFETY: The kernel reads and writes no more than the request.
            let _ = unsafe { ioctls::dev_remove(self.control.as_raw_fd(), &mut request) };
        }
    }
}

/// What the kernel asks of who keeps a log: a `struct dm_ulog_request`, as the data of a message.
pub struct LogRequest {
    header: Header,
    bytes: Vec<u8>,
}

impl LogRequest {
    /// `DM_ULOG_CTR`: there is a new log, and this is what its table says.
    pub const CREATE: u32 = 1;
    /// `DM_ULOG_DTR`: it goes.
    pub const DESTROY: u32 = 2;
    /// `DM_ULOG_GET_REGION_SIZE`: how many sectors it has a bit for.
    pub const REGION_SIZE: u32 = 6;

    const UUID: usize = 8;
    const ERROR: usize = 144;
    const TYPE: usize = 152;
    const DATA_SIZE: usize = 156;
    const DATA: usize = 160;

    /// The next one that came to a client in the group of [`LOG`], if there is one.
    pub fn next(client: &Client) -> Result<Option<Self>> {
        let Some(datagram) = client.try_recv()? else {
            return Ok(None);
        };
        let message = datagram.single()?;
        ensure!(message.header.id == LOG, "{:?}", message.header);
        let request = Self {
            header: message.header,
            bytes: message.data,
        };
        ensure!(
            request.bytes.len() == Self::DATA + request.number(Self::DATA_SIZE) as usize,
            "{} bytes",
            request.bytes.len()
        );
        Ok(Some(request))
    }

    fn number(&self, at: usize) -> u32 {
        let bytes = self.bytes[at..].first_chunk();
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    /// What it asks for.
    pub fn kind(&self) -> u32 {
        self.number(Self::TYPE)
    }

    /// The name of the log.
    pub fn uuid(&self) -> String {
        let bytes = self.bytes[Self::UUID..].split(|&byte| byte == 0);
        String::from_utf8_lossy(bytes.into_iter().next().unwrap_or_default()).into_owned()
    }

    /// What comes with it.
    pub fn data(&self) -> &[u8] {
        &self.bytes[Self::DATA..]
    }

    /// Answers it.
    pub fn answer(mut self, client: &Client, data: &[u8]) -> Result<()> {
        self.bytes.truncate(Self::DATA);
        self.bytes[Self::ERROR..][..4].fill(0);
        let size = u32::try_from(data.len())?;
        self.bytes[Self::DATA_SIZE..][..4].copy_from_slice(&size.to_ne_bytes());
        self.bytes.extend(data);
        client.send(&self.header, &self.bytes)
    }
}
