// SPDX-License-Identifier: GPL-2.0

//! The requests that are stored, and announcing changes to them.

use connector::{
    changes::Observer,
    wire::notify::{
        Change,
        Control,
        Range, //
    },
    CbId,
    Destination,
    Group,
    OutMessage,
    SendError,
    Socket, //
};
use kernel::{
    fmt, new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};

/// How many requests are stored at most.
pub(crate) const MAX_REQUESTS: usize = 128;

/// How many ranges a request has at most, of `idx` and `val` together.
pub(crate) const MAX_RANGES: usize = 64;

/// How many sockets hold a request at most.
pub(crate) const MAX_HOLDERS: usize = 64;

/// A request.
struct Request {
    idx: KVec<Range>,
    val: KVec<Range>,
    group: Group,
    /// The sequence number of its next notification.
    seq: u32,
    /// The open sockets that asked for it. It is there until all of them took it back or were
    /// closed.
    holders: KVec<ARef<Socket>>,
}

impl Request {
    fn new(control: &Control<'_>, group: Group) -> Result<Self> {
        if control.idx_ranges().count() + control.val_ranges().count() > MAX_RANGES {
            return Err(E2BIG);
        }
        let mut request = Self {
            idx: KVec::new(),
            val: KVec::new(),
            group,
            seq: 0,
            holders: KVec::new(),
        };
        for range in control.idx_ranges() {
            request.idx.push(range, GFP_KERNEL)?;
        }
        for range in control.val_ranges() {
            request.val.push(range, GFP_KERNEL)?;
        }
        Ok(request)
    }

    fn has_ranges_of(&self, control: &Control<'_>) -> bool {
        control.idx_ranges().eq(self.idx.iter().copied())
            && control.val_ranges().eq(self.val.iter().copied())
    }

    fn matches(&self, id: CbId) -> bool {
        self.idx.iter().any(|range| range.contains(id.idx))
            && self.val.iter().any(|range| range.contains(id.val))
    }

    fn add_holder(&mut self, socket: &Socket) -> Result {
        if self.is_held_by(socket) {
            return Ok(());
        }
        if self.holders.len() == MAX_HOLDERS {
            return Err(ENOSPC);
        }
        Ok(self.holders.push(socket.into(), GFP_KERNEL)?)
    }

    fn is_held_by(&self, socket: &Socket) -> bool {
        self.holders.iter().any(|holder| **holder == *socket)
    }

    /// Takes the request back for the holders of which this is true. Returns whether somebody holds
    /// it still.
    fn take_back(&mut self, is_one: impl Fn(&Socket) -> bool) -> bool {
        self.holders.retain(|holder| !is_one(holder));
        !self.holders.is_empty()
    }

    /// Announces that `id` has changed.
    fn announce(&mut self, id: CbId, change: Change) -> Result<(), SendError> {
        let header = change.header(id, self.seq);
        self.seq = self.seq.wrapping_add(1);
        let message = OutMessage {
            seq: header.seq,
            ack: header.ack,
            ..OutMessage::new(id, &[])
        };
        connector::send(&message, Destination::Group(self.group), GFP_KERNEL)
    }
}

/// All requests.
#[pin_data]
pub(crate) struct Requests {
    #[pin]
    list: Mutex<KVec<Request>>,
    accepted: Atomic<u64>,
    refused: Atomic<u64>,
    announced: Atomic<u64>,
    unheard: Atomic<u64>,
    lost: Atomic<u64>,
    /// How often the ids of C modules ceased to be seen.
    unseen: Atomic<u64>,
    /// Whether the log has that they are not seen.
    said_unseen: Atomic<bool>,
    /// Whether the service's own id is gone.
    is_gone: Atomic<bool>,
}

impl Requests {
    /// The largest gap that whoever listens takes for one: beyond half of all numbers it would look
    /// as if they began anew.
    const LARGEST_GAP: u32 = u32::MAX / 2 - 1;

    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(KVec::new()),
            accepted: Atomic::new(0),
            refused: Atomic::new(0),
            announced: Atomic::new(0),
            unheard: Atomic::new(0),
            lost: Atomic::new(0),
            unseen: Atomic::new(0),
            said_unseen: Atomic::new(false),
            is_gone: Atomic::new(false),
        })
    }

    /// Stores a request, which `socket` then holds. One with the same ranges and group is the same.
    pub(crate) fn add(&self, control: &Control<'_>, group: Group, socket: &Socket) -> Result {
        let mut list = self.list.lock();
        let same =
            |request: &&mut Request| request.group == group && request.has_ranges_of(control);
        if let Some(request) = list.iter_mut().find(same) {
            return request.add_holder(socket);
        }
        if list.len() == MAX_REQUESTS {
            return Err(ENOSPC);
        }
        let mut request = Request::new(control, group)?;
        request.add_holder(socket)?;
        Ok(list.push(request, GFP_KERNEL)?)
    }

    /// Takes back the requests with these ranges that `socket` holds, whatever their group.
    pub(crate) fn remove(&self, control: &Control<'_>, socket: &Socket) -> Result {
        let mut found = false;
        self.list.lock().retain(|request| {
            if !request.is_held_by(socket) || !request.has_ranges_of(control) {
                return true;
            }
            found = true;
            request.take_back(|holder| holder == socket)
        });
        found.then_some(()).ok_or(ENOENT)
    }

    /// Whether a socket that is closed holds a request.
    pub(crate) fn are_held_by_closed(&self) -> bool {
        let list = self.list.lock();
        let mut holders = list.iter().flat_map(|request| request.holders.iter());
        holders.any(|holder| holder.is_closed())
    }

    /// Takes back all requests that closed sockets hold.
    pub(crate) fn remove_all_of_closed(&self) {
        self.list
            .lock()
            .retain(|request| request.take_back(Socket::is_closed));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.lock().is_empty()
    }

    /// Counts what became of a request.
    pub(crate) fn count(&self, result: &Result) {
        let counter = match result {
            Ok(()) => &self.accepted,
            Err(_) => &self.refused,
        };
        counter.add(1, Relaxed);
    }

    /// Shows the counters.
    pub(crate) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            list,
            accepted,
            refused,
            announced,
            unheard,
            lost,
            unseen,
            said_unseen: _,
            is_gone: _,
        } = self;
        f.write_fmt(fmt!(
            "stored {}\naccepted {}\nrefused {}\nannounced {}\nunheard {}\nlost {}\nunseen {}\n",
            list.lock().len(),
            accepted.load(Relaxed),
            refused.load(Relaxed),
            announced.load(Relaxed),
            unheard.load(Relaxed),
            lost.load(Relaxed),
            unseen.load(Relaxed),
        ))
    }

    /// Has a request announce that `id` has changed, and counts whether anybody heard.
    fn announce(&self, request: &mut Request, id: CbId, change: Change) {
        let counter = match request.announce(id, change) {
            // Who had no room, and wants senders to know, is told by its own socket as well.
            Ok(()) | Err(SendError::Overrun) => &self.announced,
            // Nobody has joined the group, or nobody in it has room.
            Err(_) => &self.unheard,
        };
        counter.add(1, Relaxed);
    }

    /// Announces that notifications are missing, of which nobody knows what they would have said.
    ///
    /// A gap shows between two notifications. Which ids are registered is not known; that this
    /// service's own is, is the one thing that can be said to all.
    fn announce_gap(&self, missing: u32) {
        let own = match self.is_gone.load(Relaxed) {
            false => Change::Registered,
            true => Change::Unregistered,
        };
        for request in self.list.lock().iter_mut() {
            self.announce(request, CbId::NOTIFY, own);
            request.seq = request.seq.wrapping_add(missing);
            self.announce(request, CbId::NOTIFY, own);
        }
    }

    /// Notes that the ids of C modules are seen, be it from the beginning.
    pub(crate) fn can_see_c_modules(&self) {
        self.said_unseen.store(false, Relaxed);
    }

    /// Notes that the ids of C modules are not seen, be it from the beginning.
    pub(crate) fn cannot_see_c_modules(&self) {
        // Each request that is the first finds it anew; the log has it once.
        if !self.said_unseen.xchg(true, Relaxed) {
            pr_warn!(
                "ids of C modules are not seen: there was no memory for the probes, or /sys/kernel/debug/kprobes/enabled is 0\n"
            );
        }
        self.unseen.add(1, Relaxed);
    }
}

impl Observer for Requests {
    fn changed(&self, id: CbId, change: Change) {
        if id == CbId::NOTIFY {
            self.is_gone.store(change == Change::Unregistered, Relaxed);
        }
        for request in self.list.lock().iter_mut() {
            if request.matches(id) {
                self.announce(request, id, change);
            }
        }
    }

    fn lost(&self, count: u64) {
        pr_warn!("{count} changes could not be announced\n");
        self.lost.add(count, Relaxed);
        // CAST: A gap of that size says that no notification before it counts.
        self.announce_gap(count.min(u64::from(Self::LARGEST_GAP)) as u32);
    }

    fn sees_c_modules(&self, seen: bool) {
        if seen {
            self.can_see_c_modules();
            pr_info!("ids of C modules are seen again\n");
        } else {
            self.cannot_see_c_modules();
        }
        // Nobody knows how many, if any.
        self.announce_gap(1);
    }
}
