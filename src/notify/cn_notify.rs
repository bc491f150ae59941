// SPDX-License-Identifier: GPL-2.0

//! `cn_notify`: tells subscribers when ids are registered and unregistered.
//!
//! Brings back what the connector's documentation promises and the C core lost: a message to the
//! id `{-1,-1}` with a `struct cn_ctl_msg` asks for notifications about ranges of ids, to a group.
//! The formats are in [`connector::wire::notify`].
//!
//! # Answers
//!
//! Every request is answered, by the rule for replies, with a native-endian `i32`: 0, or a negative
//! error number.
//!
//! | error | when |
//! | --- | --- |
//! | `EPERM` | the sender lacks `CAP_NET_ADMIN` in the initial user namespace |
//! | `EINVAL` | sizes do not agree, a range wraps, or there is no such group |
//! | `E2BIG` | more ranges than [`requests::MAX_RANGES`] |
//! | `ENOSPC` | more requests than [`requests::MAX_REQUESTS`], or more who hold one than [`requests::MAX_HOLDERS`] |
//! | `ENOENT` | this socket holds no request with these ranges |
//! | `ENOMEM` | no memory |
//!
//! # Who holds a request
//!
//! A request belongs to the sockets that sent it, and ends when each of them has taken it back or
//! was closed.
//!
//! # When an answer comes
//!
//! Changes that were complete before a request came are announced before its answer. So a client
//! that sends the same request again, which changes nothing, gets to know that it has seen all that
//! happened before. What was announced before an answer has happened: `/proc/net/connector`, read after it,
//! is newer. An announcement alone may come a moment before the change.
//!
//! # What cannot be announced
//!
//! Changes can be lost, when there are too many at once, and those of C modules' ids are not seen
//! while somebody has switched the kernel's probes off. Then, and when they are seen again, every
//! request's group gets two notifications that repeat what is known, that `cn_notify`'s own id is
//! registered, with a gap in `seq` between them: see [`connector::wire::notify`]. So a client finds
//! out at once, and whatever it heard before, that it has to look again at what is registered.

mod requests;

use connector::{
    changes::{
        self,
        Watch, //
    },
    wire::notify::Control,
    Capability,
    CbId,
    Handler,
    Message,
    Registration,
    Sender, //
};
use kernel::{
    fmt, new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

use self::requests::Requests;

module! {
    type: CnNotify,
    name: "cn_notify",
    authors: ["The rust_connector authors"],
    description: "Tells when connector ids are registered and unregistered",
    license: "GPL",
}

/// Takes requests.
#[pin_data]
struct Service {
    requests: Arc<Requests>,
    /// Watches ids while there is a request. Held while a request is carried out, which waits for
    /// the observer: that must not take it.
    #[pin]
    watch: Mutex<Option<Watch<Requests>>>,
}

impl Service {
    fn new(requests: Arc<Requests>) -> impl PinInit<Self> {
        pin_init!(Self {
            requests,
            watch <- new_mutex!(None),
        })
    }

    /// Carries a request out. An error changes nothing.
    fn control(&self, message: &Message<'_>, sender: &Sender<'_>) -> Result {
        if !sender.capable(Capability::NET_ADMIN) {
            return Err(EPERM);
        }
        let control = Control::parse(message.data()).map_err(|_| EINVAL)?;

        let mut watch = self.watch.lock();
        match &*watch {
            // What was before concerns only the requests that were before.
            Some(watch) => watch.flush(),
            None if control.group.is_some() => {
                let new = Watch::new(self.requests.clone())?;
                match new.sees_c_modules() {
                    true => self.requests.can_see_c_modules(),
                    false if changes::CAN_SEE_C_MODULES => self.requests.cannot_see_c_modules(),
                    false => {}
                }
                *watch = Some(new);
            }
            None => {}
        }
        let result = match control.group {
            Some(group) => self.requests.add(&control, group, sender.socket()),
            None => self.requests.remove(&control, sender.socket()),
        };
        if self.requests.is_empty() {
            *watch = None;
        }
        result
    }
}

impl Handler for Service {
    const WANTS_CLOSED: bool = true;

    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let result = self.control(message, sender);
        self.requests.count(&result);
        // Nobody else to tell that the client does not read its answer.
        let _ = sender.reply_outcome(message, result.map(|()| &[][..]));
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.requests.show(f)
    }

    fn closed(&self, _portid: u32) {
        // Most sockets hold nothing, and need not wait for a request that is being carried out.
        if !self.requests.are_held_by_closed() {
            return;
        }
        let mut watch = self.watch.lock();
        self.requests.remove_all_of_closed();
        if self.requests.is_empty() {
            // This takes a while, under netlink's notifier chain. Who opens and closes sockets does not wait
            // for that, only who loads a module that is told of them.
            *watch = None;
        }
    }
}

struct CnNotify {
    _service: Registration<Service>,
}

impl kernel::Module for CnNotify {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let requests = Arc::pin_init(Requests::new(), GFP_KERNEL)?;
        if !changes::CAN_SEE_C_MODULES {
            pr_info!("no kretprobes in this kernel: the ids of C modules are not seen\n");
        }
        let service = Service::new(requests);
        Ok(Self {
            _service: Registration::new(CbId::NOTIFY, c"cn_notify", service)?,
        })
    }
}
