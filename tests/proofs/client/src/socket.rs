// SPDX-License-Identifier: GPL-2.0

//! A socket of which loom can follow who waits for it, and a service behind it, which answers in the
//! system call that brings the request, or later, when it is told to.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use connector_wire::{
    Group, Header,
    netlink::{self, NlHeader},
};
use loom::sync::{Condvar, Mutex};
use rustix::io::Errno;

use crate::{
    batch,
    error::{Error, Result},
    message::Sender,
};

/// What is between a socket and the service.
struct Queues {
    /// What the socket has received.
    received: Mutex<VecDeque<Vec<u8>>>,
    changed: Condvar,
    /// Requests that are not answered.
    waiting: Mutex<VecDeque<Header>>,
    asked: Condvar,
}

thread_local! {
    // All threads of a model run in one.
    static QUEUES: RefCell<Option<Rc<Queues>>> = const { RefCell::new(None) };
    static ANSWERS_LATER: Cell<bool> = const { Cell::new(false) };
    static NEXT_WAIT: Cell<Option<Result<Waited, Errno>>> = const { Cell::new(None) };
}

fn queues() -> Rc<Queues> {
    QUEUES.with_borrow(|queues| queues.clone().expect("there is a socket"))
}

/// Forgets the socket, while the model runs.
pub(crate) fn end() {
    QUEUES.take();
}

/// Whether the service answers later.
pub(crate) fn answers_later(later: bool) {
    ANSWERS_LATER.set(later);
}

/// What the next one comes to that waits for a message.
pub(crate) fn next_wait(ended: Result<Waited, Errno>) {
    NEXT_WAIT.set(Some(ended));
}

/// Has the service wait until it is asked, and answer that.
pub(crate) fn answer() {
    let queues = queues();
    let mut waiting = queues.waiting.lock().expect("no panic");
    let header = loop {
        match waiting.pop_front() {
            Some(header) => break header,
            None => waiting = queues.asked.wait(waiting).expect("no panic"),
        }
    };
    drop(waiting);
    bring(&header.reply(0));
}

/// Brings a message to the socket.
pub(crate) fn bring(header: &Header) {
    kernel::trace(|| "a message comes".to_owned());
    let queues = queues();
    let datagram = batch::headers(header, 0, 0).to_vec();
    queues
        .received
        .lock()
        .expect("no panic")
        .push_back(datagram);
    queues.changed.notify_all();
}

#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Done,
    Interrupted,
}

impl Socket {
    pub(crate) fn open(
        _groups: u32,
        _processes: bool,
        _receive_buffer: Option<usize>,
    ) -> Result<Self> {
        QUEUES.set(Some(Rc::new(Queues {
            received: Mutex::new(VecDeque::new()),
            changed: Condvar::new(),
            waiting: Mutex::new(VecDeque::new()),
            asked: Condvar::new(),
        })));
        // Nobody reads from it, or writes.
        let fd = std::io::stdin().as_fd().try_clone_to_owned();
        Ok(Self(fd.expect("there is a standard input")))
    }

    pub(crate) fn adopt(_: OwnedFd, _: u32, _: bool, _: Option<usize>) -> Result<Self> {
        Self::open(0, false, None)
    }

    pub(crate) fn portid(&self) -> u32 {
        1
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    pub(crate) fn join(&self, _group: Group) -> Result<()> {
        Ok(())
    }

    pub(crate) fn leave(&self, _group: Group) -> Result<()> {
        Ok(())
    }

    pub(crate) fn receive_buffer(&self) -> Result<usize> {
        Ok(usize::MAX)
    }

    pub(crate) fn set_receive_buffer(&self, _bytes: usize) -> Result<()> {
        Ok(())
    }

    pub(crate) fn send_parts(&self, first: &[u8], second: &[u8]) -> Result<(), Errno> {
        send(self.fd(), &[first, second].concat())
    }

    pub(crate) fn send_many(&self, datagrams: &[&[u8]]) -> Result<usize> {
        for datagram in datagrams {
            send(self.fd(), datagram).map_err(not_sent)?;
        }
        Ok(datagrams.len())
    }

    pub(crate) fn has_senders(&self) -> bool {
        false
    }

    pub(crate) fn interrupt(&self) -> Result<Arc<OwnedFd>> {
        let fd = self.0.try_clone();
        Ok(Arc::new(fd.expect("there is a standard input")))
    }

    pub(crate) fn wait_readable(&self, _most: Option<Duration>) -> Result<Waited> {
        kernel::trace(|| "wait for a message".to_owned());
        if let Some(ended) = NEXT_WAIT.take() {
            return ended.map_err(|errno| Error::io("waiting", errno));
        }
        let queues = queues();
        let mut received = queues.received.lock().expect("no panic");
        while received.is_empty() {
            received = queues.changed.wait(received).expect("no panic");
        }
        Ok(Waited::Done)
    }
}

pub(crate) fn join(_fd: BorrowedFd<'_>, _group: Group) -> Result<()> {
    Ok(())
}

pub(crate) fn send(_fd: BorrowedFd<'_>, datagram: &[u8]) -> Result<(), Errno> {
    let (_, payload) = netlink::parse(datagram).map_err(|_| Errno::INVAL)?;
    let header = Header::parse(payload).ok_or(Errno::INVAL)?;
    match ANSWERS_LATER.get() {
        true => {
            let queues = queues();
            queues.waiting.lock().expect("no panic").push_back(header);
            queues.asked.notify_all();
        }
        false => bring(&header.reply(0)),
    }
    Ok(())
}

pub(crate) fn receive(_fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    kernel::trace(|| "receive".to_owned());
    let next = queues().received.lock().expect("no panic").pop_front();
    let datagram = next.ok_or(Errno::AGAIN)?;
    buffer[..datagram.len()].copy_from_slice(&datagram);
    assert!(datagram.len() >= NlHeader::SIZE);
    Ok(datagram.len())
}

pub(crate) fn receive_from(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<(usize, Sender), Errno> {
    Ok((receive(fd, buffer)?, Sender::default()))
}

pub(crate) fn not_sent(errno: Errno) -> Error {
    Error::io("sending", errno)
}
