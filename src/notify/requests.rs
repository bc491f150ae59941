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
    SendError, //
};
use kernel::{
    fmt, new_mutex,
    prelude::*,
    sync::{
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
const MAX_HOLDERS: usize = 64;

/// A request.
struct Request {
    idx: KVec<Range>,
    val: KVec<Range>,
    group: Group,
    /// The sequence number of its next notification.
    seq: u32,
    /// The ports of those who asked for it. It is there until all of them took it back.
    holders: KVec<u32>,
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

    fn add_holder(&mut self, portid: u32) -> Result {
        if self.holders.contains(&portid) {
            return Ok(());
        }
        if self.holders.len() == MAX_HOLDERS {
            return Err(ENOSPC);
        }
        Ok(self.holders.push(portid, GFP_KERNEL)?)
    }

    /// Takes the request back for one who holds it. Returns whether somebody holds it still.
    fn take_back(&mut self, portid: u32) -> bool {
        self.holders.retain(|holder| *holder != portid);
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
}

impl Requests {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(KVec::new()),
            accepted: Atomic::new(0),
            refused: Atomic::new(0),
            announced: Atomic::new(0),
            unheard: Atomic::new(0),
            lost: Atomic::new(0),
        })
    }

    /// Stores a request, which `portid` then holds. One with the same ranges and group is the same.
    pub(crate) fn add(&self, control: &Control<'_>, group: Group, portid: u32) -> Result {
        let mut list = self.list.lock();
        let same =
            |request: &&mut Request| request.group == group && request.has_ranges_of(control);
        if let Some(request) = list.iter_mut().find(same) {
            return request.add_holder(portid);
        }
        if list.len() == MAX_REQUESTS {
            return Err(ENOSPC);
        }
        let mut request = Request::new(control, group)?;
        request.add_holder(portid)?;
        Ok(list.push(request, GFP_KERNEL)?)
    }

    /// Takes back the requests with these ranges, whatever their group: for `portid` if it holds
    /// one of them, altogether if it holds none.
    pub(crate) fn remove(&self, control: &Control<'_>, portid: u32) -> Result {
        let mut list = self.list.lock();
        let holds_one = list
            .iter()
            .any(|request| request.holders.contains(&portid) && request.has_ranges_of(control));
        let mut found = false;
        list.retain(|request| {
            if !request.has_ranges_of(control) {
                return true;
            }
            found = true;
            holds_one && request.take_back(portid)
        });
        found.then_some(()).ok_or(ENOENT)
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
        } = self;
        f.write_fmt(fmt!(
            "stored {}\naccepted {}\nrefused {}\nannounced {}\nunheard {}\nlost {}\n",
            list.lock().len(),
            accepted.load(Relaxed),
            refused.load(Relaxed),
            announced.load(Relaxed),
            unheard.load(Relaxed),
            lost.load(Relaxed)
        ))
    }
}

impl Observer for Requests {
    fn changed(&self, id: CbId, change: Change) {
        for request in self.list.lock().iter_mut() {
            if request.matches(id) {
                let counter = match request.announce(id, change) {
                    Ok(()) => &self.announced,
                    // Nobody has joined the group, or nobody in it has room.
                    Err(_) => &self.unheard,
                };
                counter.add(1, Relaxed);
            }
        }
    }

    fn lost(&self, count: u64) {
        pr_warn!("{count} changes came too fast to be announced\n");
        self.lost.add(count, Relaxed);
        for request in self.list.lock().iter_mut() {
            // Whoever listens sees a gap.
            request.seq = request.seq.wrapping_add(count as u32);
        }
    }
}
