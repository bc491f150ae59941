// SPDX-License-Identifier: GPL-2.0

//! What work items do for a module, which ends them or goes.

use std::sync::Mutex;

use kernel::{time::Jiffies, workqueue};
use loom::thread::{self, JoinHandle};

use super::{table::leak, used::Used, Model};
use crate::{
    bindings, going,
    job::{self, Item, Job, Kind, Queue, Run},
    text,
};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "job-twice",
        property: "whoever ends a job waits until what it calls was dropped, whoever does that",
        cpus: 1,
        preemptions: Some(2),
        run: twice,
    },
    Model {
        name: "job-itself",
        property: "a job that ends itself is not called again, and its module can go meanwhile",
        cpus: 1,
        preemptions: Some(4),
        run: itself,
    },
    Model {
        name: "job-going",
        property: "a job that is made while its module goes is ended, or refused",
        cpus: 1,
        preemptions: Some(4),
        run: module_goes,
    },
    Model {
        name: "job-call",
        property: "who has a job called returns when it was",
        cpus: 1,
        preemptions: None,
        run: call,
    },
];

/// What is called: the code of a module, to be dropped by it, too.
struct Called {
    used: &'static Used,
    /// The job itself, if it is to end itself.
    own: Option<&'static Mutex<Option<Job>>>,
    again: Option<Jiffies>,
}

// SAFETY: All tasks of a model run in one thread.
unsafe impl Send for Called {}

impl Called {
    fn new(used: &'static Used) -> Self {
        Self {
            used,
            own: None,
            again: None,
        }
    }

    /// It asks to be called once more.
    fn again(mut self) -> Self {
        self.again = Some(1);
        self
    }
}

impl Run for Called {
    const KIND: Kind = Kind::Periodic;

    fn run(&mut self, item: &Item) -> Option<Jiffies> {
        self.used.by_handler();
        assert!(
            self.own.is_none() || self.again.is_some(),
            "it is called after its end"
        );
        // Who ends it has it called first, if it was queued.
        assert!(self.again.is_none() || !item.has_ended(), "it ended first");
        if let Some(own) = self.own {
            drop(own.lock().expect("no panic").take());
            assert!(item.has_ended());
            self.used.by_handler();
        }
        self.again.take()
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        self.used.by_handler();
        if self.own.is_some() {
            // It has another one made and dropped meanwhile.
            drop(Job::new(Called::new(leak(Used::new()))));
        }
        self.used.is_dropped();
    }
}

/// Makes all statics usable, as the module does, and has somebody work.
fn init() -> (Queue, JoinHandle<()>) {
    // SAFETY: This comes first in an interleaving.
    unsafe {
        job::init();
        going::init();
    }
    text::init();
    let queue = Queue::new().expect("there is memory");
    (queue, thread::spawn(workqueue::work))
}

fn end((queue, works): (Queue, JoinHandle<()>)) {
    drop(queue);
    workqueue::end();
    works.join().expect("it ends");
}

const ALL: bindings::module = bindings::module(0..usize::MAX);

fn twice() {
    let worker = init();
    let used = leak(Used::new());
    let job = Job::new(Called::new(used).again()).expect("there is memory");
    job.queue(0);
    let other = thread::spawn(move || {
        job::end_all_of(&ALL);
        used.is_over();
        assert!(used.was_dropped(), "it was not dropped");
    });
    drop(job);
    used.is_over();
    assert!(used.was_dropped(), "it was not dropped");
    other.join().expect("it ends");
    used.is_freed();
    end(worker);
}

fn itself() {
    let worker = init();
    let used = leak(Used::new());
    let own = leak(Mutex::new(None));
    let mut called = Called::new(used).again();
    called.own = Some(own);
    let job = Job::new(called).expect("there is memory");
    let mut place = own.lock().expect("no panic");
    place.insert(job).queue(0);
    drop(place);
    job::end_all_of(&ALL);
    used.is_freed();
    drop(own.lock().expect("no panic").take());
    end(worker);
}

fn module_goes() {
    let worker = init();
    let used = leak(Used::new());
    // Something of the module's, which is waited for.
    let mut makes = Some(thread::spawn(move || {
        let job = Job::new(Called::new(used)).ok();
        job.inspect(|job| job.queue(0))
    }));
    let mut left = None;
    going::during(&ALL, || {
        job::end_all_of(&ALL);
        left = makes.take().expect("once").join().expect("it ends");
    });
    used.is_freed();
    drop(left);
    end(worker);
}

fn call() {
    let worker = init();
    let used = leak(Used::new());
    let job = Job::new(Called::new(used)).expect("there is memory");
    job.call();
    used.is_over();
    assert!(used.was_called());
    drop(job);
    used.is_freed();
    end(worker);
}
