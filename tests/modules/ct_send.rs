// SPDX-License-Identifier: GPL-2.0

//! `ct_send`: sends what a message to `30:7` asks for, and answers with what came of it.
//!
//! The message is eight numbers: see [`Order`]. The answer is two: the error or 0, and how often a
//! filter was asked. What is sent has the message's `seq`.

use core::num::NonZero;

use connector::{
    send,
    send_filtered,
    send_multi,
    Batch,
    CbId,
    Destination,
    Group,
    Handler,
    Message,
    OutMessage,
    Registration,
    SendError,
    Sender,
    Socket, //
};
use kernel::{
    alloc::Flags,
    impl_has_hr_timer, new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
        Completion,
        Mutex, //
    },
    time::{
        hrtimer::{
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeSoftMode, //
        },
        Delta,
        Monotonic, //
    },
};

module! {
    type: Module,
    name: "ct_send",
    authors: ["The rust_connector authors"],
    description: "Test: sending to every destination from every context",
    license: "GPL",
}

/// What to send, and how.
#[derive(Clone, Copy)]
struct Order {
    /// 0: one message. 1: a batch. 2: one message to the socket that was remembered, by a filter.
    /// 3: nothing; remember the sender's socket.
    what: u32,
    /// 0: from the handler, with `GFP_KERNEL`. 1: from the handler, with `GFP_ATOMIC`. 2: from
    /// softirq, with `GFP_ATOMIC`.
    context: u32,
    /// 0: `Registered`. 1: `Port`. 2: `Group`. 3: `PortAndGroup`.
    to: u32,
    port: u32,
    group: u32,
    /// How many bytes of data a message has.
    len: u32,
    /// How many messages a batch has.
    count: u32,
    /// The `val` of the messages' id; its `idx` is 30.
    val: u32,
}

impl Order {
    fn parse(data: &[u8]) -> Option<Self> {
        let mut numbers = data
            .chunks_exact(4)
            .filter_map(|bytes| Some(u32::from_ne_bytes(bytes.try_into().ok()?)));
        Some(Self {
            what: numbers.next()?,
            context: numbers.next()?,
            to: numbers.next()?,
            port: numbers.next()?,
            group: numbers.next()?,
            len: numbers.next()?,
            count: numbers.next()?,
            val: numbers.next()?,
        })
    }

    fn id(&self) -> CbId {
        CbId {
            idx: 30,
            val: self.val,
        }
    }

    fn destination(&self) -> Result<Destination> {
        let port = || NonZero::new(self.port).ok_or(EINVAL);
        let group = || Group::new(self.group).ok_or(EINVAL);
        Ok(match self.to {
            0 => Destination::Registered,
            1 => Destination::Port(port()?),
            2 => Destination::Group(group()?),
            3 => Destination::PortAndGroup(port()?, group()?),
            _ => return Err(EINVAL),
        })
    }

    fn flags(&self) -> Flags {
        match self.context {
            0 => GFP_KERNEL,
            _ => GFP_ATOMIC,
        }
    }
}

/// An order with everything that it takes, so that carrying it out needs no memory but the core's.
#[pin_data]
struct Job {
    order: Order,
    seq: u32,
    data: KVVec<u8>,
    batch: Batch,
    remembered: Option<ARef<Socket>>,
    asked: Atomic<u32>,
    errno: Atomic<i32>,
    #[pin]
    done: Completion,
    #[pin]
    timer: HrTimer<Self>,
}

impl Job {
    fn new(order: Order, seq: u32, remembered: Option<ARef<Socket>>) -> Result<Arc<Self>> {
        let len = order.len as usize;
        let mut data = KVVec::with_capacity(len, GFP_KERNEL)?;
        for at in 0..len {
            // CAST: The lowest byte is meant.
            data.push((at * 7) as u8, GFP_KERNEL)?;
        }
        let mut batch = Batch::new();
        if order.what == 1 {
            for number in 0..order.count {
                let message = OutMessage {
                    seq,
                    ack: number,
                    ..OutMessage::new(order.id(), &data)
                };
                batch.push(&message, GFP_KERNEL)?;
            }
        }
        Arc::pin_init(
            pin_init!(Self {
                order,
                seq,
                data,
                batch,
                remembered,
                asked: Atomic::new(0),
                errno: Atomic::new(0),
                done <- Completion::new(),
                timer <- HrTimer::new(),
            }),
            GFP_KERNEL,
        )
    }

    fn send(&self) -> Result {
        let Order {
            what, ref group, ..
        } = self.order;
        let flags = self.order.flags();
        let message = OutMessage {
            seq: self.seq,
            ..OutMessage::new(self.order.id(), &self.data)
        };
        match what {
            0 => send(&message, self.order.destination()?, flags)?,
            1 => send_multi(&self.batch, self.order.destination()?, flags)?,
            2 => {
                let group = Group::new(*group).ok_or(EINVAL)?;
                send_filtered(&message, group, flags, |listener| {
                    self.asked.add(1, Relaxed);
                    self.remembered.as_deref() == Some(listener.socket())
                })?
            }
            _ => return Err(EINVAL),
        }
        Ok(())
    }

    fn carry_out(&self) {
        let errno = self.send().err().map_or(0, Error::to_errno);
        self.errno.store(errno, Relaxed);
        self.done.complete_all();
    }
}

impl HrTimerCallback for Job {
    type Pointer<'a> = Arc<Self>;

    // Runs in softirq, because the timer's mode says so.
    fn run(this: ArcBorrow<'_, Self>, _timer: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        this.carry_out();
        HrTimerRestart::NoRestart
    }
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Job {
        mode: RelativeSoftMode<Monotonic>, field: self.timer
    }
}

#[pin_data]
struct Postman {
    #[pin]
    remembered: Mutex<Option<ARef<Socket>>>,
}

impl Postman {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            remembered <- new_mutex!(None),
        })
    }

    /// Does what the message asks for; returns how often a filter was asked.
    fn serve(&self, message: &Message<'_>, sender: &Sender<'_>) -> Result<u32> {
        let order = Order::parse(message.data()).ok_or(EINVAL)?;
        if order.what == 3 {
            *self.remembered.lock() = Some(sender.socket().into());
            return Ok(0);
        }
        let remembered = self.remembered.lock().clone();
        let job = Job::new(order, message.seq(), remembered)?;
        if order.context == 2 {
            let timer = job.clone().start(Delta::from_micros(1));
            job.done.wait_for_completion();
            drop(timer);
        } else {
            job.carry_out();
        }
        match job.errno.load(Relaxed) {
            0 => Ok(job.asked.load(Relaxed)),
            errno => Err(Error::from_errno(errno)),
        }
    }
}

impl Handler for Postman {
    fn handle(&self, message: &Message<'_>, sender: &Sender<'_>) {
        let (errno, asked) = match self.serve(message, sender) {
            Ok(asked) => (0, asked),
            Err(error) => (error.to_errno(), 0),
        };
        let mut answer = [0; 8];
        let (to_errno, to_asked) = answer.split_at_mut(4);
        to_errno.copy_from_slice(&errno.to_ne_bytes());
        to_asked.copy_from_slice(&asked.to_ne_bytes());
        let _: Result<(), SendError> = sender.reply(message, &answer);
    }
}

struct Module {
    _postman: Registration<Postman>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _postman: Registration::new(CbId { idx: 30, val: 7 }, c"ct_send", Postman::new())?,
        })
    }
}
