// SPDX-License-Identifier: GPL-2.0

//! Who a message comes from, and what they may do, as the handler sees it.
//!
//! `ct_sender` answers with what its `Sender` says. The clients are other processes of this program
//! (see [`steps`]).

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    unistd::{Gid, Uid, getpid, setegid, seteuid},
};
use selftests::{CbId, Client, Module, Suite, datagram, procfs, steps};

const SENDER: CbId = CbId { idx: 30, val: 5 };
const USER: u32 = 1000;
const GROUP: u32 = 1001;

/// What `ct_sender` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    portid: u32,
    pid: u32,
    uid: u32,
    gid: u32,
    net_admin: bool,
    sys_admin: bool,
}

impl Facts {
    fn parse(data: &[u8]) -> Result<Self> {
        let numbers: Vec<u32> = data
            .chunks_exact(4)
            .map(|bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        let [portid, pid, uid, gid, net_admin, sys_admin] = numbers[..] else {
            bail!("not six numbers: {data:?}");
        };
        Ok(Self {
            portid,
            pid,
            uid,
            gid,
            net_admin: net_admin == 1,
            sys_admin: sys_admin == 1,
        })
    }

    /// Whether this is what is expected of a user, who has all capabilities or none.
    fn expect(&self, uid: u32, gid: u32, capable: bool) -> Result<()> {
        ensure!(
            (self.uid, self.gid) == (uid, gid),
            "the sender is {uid}, {gid}, and the handler saw {self:?}"
        );
        ensure!(
            (self.net_admin, self.sys_admin) == (capable, capable),
            "the sender {} capabilities, and the handler saw {self:?}",
            if capable { "has" } else { "has no" }
        );
        Ok(())
    }
}

/// The client's side: takes the steps.
fn take(steps: impl Iterator<Item = String>) -> Result<()> {
    let mut client = None;
    for step in steps {
        let opened = || client.as_ref().context("no socket was opened");
        match step.as_str() {
            "open" => {
                // The first one's port is the pid, which this one's is not to be.
                let _first = Client::open()?;
                client = Some(Client::open()?);
            }
            "become-user" => steps::become_user(USER, GROUP)?,
            "act-as-user" => {
                setegid(Gid::from_raw(GROUP))?;
                seteuid(Uid::from_raw(USER))?;
            }
            "act-as-root" => {
                seteuid(Uid::from_raw(0))?;
                setegid(Gid::from_raw(0))?;
            }
            "be-root-in-user-namespace" => steps::be_root_in_user_namespace()?,
            "enter-network-namespace" => unshare(CloneFlags::CLONE_NEWNET)?,
            "send" | "send-to-kernel" => {
                let client = opened()?;
                let message = datagram(&Client::header(SENDER, 1, 1), b"who am I?");
                match step.as_str() {
                    "send" => client.send_raw(&message),
                    _ => client.send_raw_to_kernel(&message),
                }
                .context("sending")?;
                let reply = client.recv_now()?;
                let facts = Facts::parse(&reply.data)?;
                ensure!(facts.portid == client.portid(), "another port: {facts:?}");
                ensure!(
                    facts.pid == getpid().as_raw() as u32,
                    "another pid: {facts:?}"
                );
                println!("{}", serde_json::to_string(&reply.data)?);
            }
            "fail-to-send" => {
                let error = opened()?.send_raw(&datagram(&Client::header(SENDER, 1, 1), b""));
                let errno = error.err().and_then(|error| error.raw_os_error());
                ensure!(
                    errno == Some(Errno::ECONNREFUSED as i32),
                    "sending returned {errno:?}"
                );
            }
            step => bail!("what is `{step}`?"),
        }
    }
    Ok(())
}

/// What the handler saw of a process that takes these steps.
fn seen_of(steps: &str) -> Result<Facts> {
    let (_connector, _sender) = Module::load_with_connector("ct_sender", "")?;
    Facts::parse(&serde_json::from_str::<Vec<u8>>(&steps::process(steps)?)?)
}

fn other_network_namespace() -> Result<()> {
    procfs::require_namespaces("net")?;
    let (_connector, _sender) = Module::load_with_connector("ct_sender", "")?;
    steps::process("enter-network-namespace open fail-to-send").map(drop)
}

fn main() -> ExitCode {
    if let Some(ended) = steps::taken_by(take) {
        return ended;
    }
    Suite::new()
        .test(
            "root is seen with its port, its pid, uid 0, gid 0 and every capability",
            || seen_of("open send")?.expect(0, 0, true),
        )
        .test(
            "an ordinary user can send, and is seen with their ids and no capability",
            || seen_of("become-user open send")?.expect(USER, GROUP, false),
        )
        .test(
            "root of a user namespace that a user made has that user's ids and no capability",
            || {
                procfs::require_namespaces("user")?;
                seen_of("become-user be-root-in-user-namespace open send")?
                    .expect(USER, GROUP, false)
            },
        )
        .test(
            "root of a user namespace that root made has uid 0 and no capability",
            || {
                procfs::require_namespaces("user")?;
                seen_of("be-root-in-user-namespace open send")?.expect(0, 0, false)
            },
        )
        .test(
            "a user who sends through a socket that root opened has no capability",
            || seen_of("open become-user send")?.expect(USER, GROUP, false),
        )
        .test(
            "nor has root who sends through a socket that a user opened",
            || seen_of("act-as-user open act-as-root send")?.expect(0, 0, false),
        )
        .test(
            "unless root says itself that it is for the kernel, by giving the address",
            || seen_of("act-as-user open act-as-root send-to-kernel")?.expect(0, 0, true),
        )
        .test(
            "a user does not gain capabilities by giving the address",
            || seen_of("become-user open send-to-kernel")?.expect(USER, GROUP, false),
        )
        .test(
            "sending from another network namespace is refused",
            other_network_namespace,
        )
        .run()
}
