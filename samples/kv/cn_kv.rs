// SPDX-License-Identifier: GPL-2.0

//! `cn_kv`: a store of keys and values, to copy services from.
//!
//! A request is `get KEY`, `set KEY VALUE` or `del KEY`, as bytes; the reply says how it ended, and
//! has the value. Anyone may ask; changing something takes `CAP_NET_ADMIN`. Each change is broadcast
//! as `set KEY` or `del KEY`, and every second there is a sign of life, `alive`.

use connector::{
    Broadcaster,
    Capability,
    CbId,
    Handler,
    Message,
    Periodic,
    Registration,
    Sender, //
};
use kernel::{
    fmt,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    time::Delta, //
};

module! {
    type: CnKv,
    name: "cn_kv",
    authors: ["The rust_connector authors"],
    description: "Sample: a store of keys and values",
    license: "GPL",
}

/// Up to 32, so that the idx is the number of a group; and even, so that listening to it takes
/// `CAP_NET_ADMIN`.
const ID: CbId = CbId { idx: 20, val: 1 };
/// There is nothing that clients could make grow without bound.
const MAX_ENTRIES: usize = 256;

struct Entry {
    key: KVec<u8>,
    value: KVec<u8>,
}

#[pin_data]
struct Store {
    #[pin]
    entries: Mutex<KVec<Entry>>,
    listeners: Arc<Broadcaster>,
}

impl Store {
    fn new(listeners: Arc<Broadcaster>) -> impl PinInit<Self> {
        pin_init!(Self {
            entries <- new_mutex!(KVec::new()),
            listeners,
        })
    }

    fn carry_out<'a>(
        &self,
        entries: &'a mut KVec<Entry>,
        request: &[u8],
        sender: &Sender<'_>,
    ) -> Result<&'a [u8]> {
        let mut words = request.splitn(3, |&byte| byte == b' ');
        let (verb, key) = (words.next(), words.next().ok_or(EINVAL)?);
        let at = entries.iter().position(|entry| *entry.key == *key);
        let reads = verb == Some(b"get");
        if !reads && !sender.capable(Capability::NET_ADMIN) {
            return Err(EPERM);
        }
        match (verb, words.next(), at) {
            (Some(b"get"), None, Some(at)) => return Ok(&entries[at].value),
            (Some(b"del"), None, Some(at)) => drop(entries.remove(at)),
            (Some(b"get" | b"del"), None, None) => return Err(ENOENT),
            (Some(b"set"), Some(value), Some(at)) => entries[at].value = copy(value)?,
            (Some(b"set"), Some(_), None) if entries.len() == MAX_ENTRIES => return Err(ENOSPC),
            (Some(b"set"), Some(value), None) => {
                let (key, value) = (copy(key)?, copy(value)?);
                entries.push(Entry { key, value }, GFP_KERNEL)?;
            }
            _ => return Err(EINVAL),
        }
        // Verb and key. That it was lost shows as a gap.
        let _ = self.listeners.send(&request[..4 + key.len()]);
        Ok(&[])
    }
}

impl Handler for Store {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        // Held until the reply has its copy of the value; that does not wait for anybody.
        let mut entries = self.entries.lock();
        let outcome = self.carry_out(&mut entries, message.data(), sender);
        let _ = sender.reply_outcome(message, outcome);
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("entries {}\n", self.entries.lock().len()))
    }
}

fn copy(bytes: &[u8]) -> Result<KVec<u8>> {
    let mut copy = KVec::new();
    copy.extend_from_slice(bytes, GFP_KERNEL)?;
    Ok(copy)
}

struct CnKv {
    _alive: Periodic,
    _store: Registration<Store>,
}

impl kernel::Module for CnKv {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let listeners = Arc::new(Broadcaster::new(ID)?, GFP_KERNEL)?;
        Ok(Self {
            _store: Registration::new(ID, c"cn_kv", Store::new(listeners.clone()))?,
            _alive: Periodic::new(Delta::from_secs(1), move || {
                let _ = listeners.send(b"alive");
            })?,
        })
    }
}
