// SPDX-License-Identifier: GPL-2.0

//! One interleaving: the objects of loom's that belong to it, and the memory that it has freed.
//!
//! Loom's objects must be made in an interleaving, and by somebody whom all others come after. But
//! the kernel's can be made anywhere, in constants too. So each interleaving begins with a stock of
//! loom's, which the kernel's take one of when they are first used.

use std::alloc::Layout;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, Location};
use std::rc::Rc;
use std::sync::Once;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;

use crate::workqueue;

/// How many atomics are used in one interleaving, at most.
const WORDS: usize = 128;

/// How many tasks there are, at most.
pub(crate) const TASKS: usize = loom::MAX_THREADS;

/// An atomic of loom's, and the memory that it lies in.
pub(crate) struct Word {
    pub(crate) value: AtomicU64,
    /// Whoever does something with the value first stores here, so that loom sees that the order of
    /// any two such steps matters. By itself, it remembers the last one only, so that it misses a task
    /// that has loaded if the one that stores has loaded, too. Nobody ever reads it: or else fences,
    /// which take up what was read, would order tasks that have nothing to do with each other.
    turn: AtomicU64,
    pub(crate) memory: UnsafeCell<()>,
}

/// A function that RCU calls after a grace period.
pub(crate) type Callback = Box<dyn FnOnce()>;

pub(crate) struct Execution {
    number: u64,
    words: Vec<Word>,
    words_used: Cell<usize>,
    /// Each is held by its task in an RCU read-side critical section.
    pub(crate) readers: Vec<Mutex<()>>,
    /// How deep in such sections each task is.
    pub(crate) depths: RefCell<Vec<usize>>,
    /// How often each task has looked which CPU it is on.
    looks: RefCell<Vec<u32>>,
    /// Orders those who ask for calls after a grace period, and who makes them.
    pub(crate) calls: Mutex<()>,
    pub(crate) callbacks: RefCell<Vec<Callback>>,
    pub(crate) works: workqueue::Shared,
    locks: RefCell<Vec<Rc<dyn Any>>>,
    tasks: RefCell<Vec<thread::ThreadId>>,
    freed: RefCell<Vec<(*mut u8, Layout)>>,
    /// How many allocations were not freed.
    allocated: Cell<usize>,
    /// Those of them that are nobody's, unless somebody takes one over.
    leaked: RefCell<Vec<*mut u8>>,
    /// What the tasks did, for who wants to know how an interleaving failed.
    trace: RefCell<Vec<(usize, &'static Location<'static>, String)>>,
}

thread_local! {
    // All tasks of a model run in one thread.
    static CURRENT: RefCell<Option<Rc<Execution>>> = const { RefCell::new(None) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static CPUS: Cell<u32> = const { Cell::new(1) };
}

pub(crate) fn current() -> Rc<Execution> {
    CURRENT.with_borrow(|current| current.clone().expect("this runs in a model"))
}

/// Whether something is dropped in an interleaving that goes on: not when one has failed.
pub(crate) fn is_running() -> bool {
    !std::thread::panicking() && CURRENT.with_borrow(Option::is_some)
}

/// The number of the task that asks, from 0.
pub(crate) fn task() -> usize {
    let id = thread::current().id();
    let execution = current();
    let mut tasks = execution.tasks.borrow_mut();
    tasks
        .iter()
        .position(|task| *task == id)
        .unwrap_or_else(|| {
            tasks.push(id);
            tasks.len() - 1
        })
}

/// The number of the CPU that it runs on: another one each time that it looks, as it may be taken to
/// another one at any time.
pub(crate) fn cpu() -> u32 {
    let task = task();
    let looks = &current().looks;
    let before = looks.borrow()[task];
    looks.borrow_mut()[task] += 1;
    (task as u32 + before) % CPUS.get()
}

/// To be called where the kernel's own would say that it may sleep.
#[track_caller]
pub(crate) fn might_sleep() {
    assert!(
        !is_running() || current().depths.borrow()[task()] == 0,
        "it may sleep while it reads under RCU"
    );
}

/// Notes what the task does that runs here.
#[track_caller]
pub fn trace(what: impl FnOnce() -> String) {
    let step = (task(), Location::caller(), what());
    current().trace.borrow_mut().push(step);
}

/// Says what the tasks did before something panics.
fn tell_when_panicking() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        before(info);
        let execution = CURRENT.with_borrow(Option::clone);
        for (task, location, what) in execution.iter().flat_map(|it| it.trace.take()) {
            eprintln!(
                "  task {task}: {}:{}: {what}",
                location.file(),
                location.line()
            );
        }
    }));
}

/// Where something lies in the stock of an interleaving, in one number.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place(u64);

impl Place {
    pub(crate) const NONE: Self = Self(0);
}

/// A place that is taken when it is first asked for, once in each interleaving.
pub(crate) struct Placed(std::sync::atomic::AtomicU64);

impl Placed {
    pub(crate) const fn new() -> Self {
        Self(std::sync::atomic::AtomicU64::new(Place::NONE.0))
    }

    /// The place, if there is one in this interleaving.
    fn get(&self, execution: &Execution) -> Option<usize> {
        let place = self.0.load(Relaxed);
        (place >> 16 == execution.number).then_some((place & 0xffff) as usize)
    }

    fn set(&self, execution: &Execution, at: usize) {
        let place = (execution.number << 16) | at as u64;
        self.0.store(place, Relaxed);
    }
}

impl Word {
    /// Loads, which has several outcomes.
    pub(crate) fn load<R>(&self, f: impl FnOnce(&AtomicU64) -> R) -> R {
        self.turn.store(0, Relaxed);
        f(&self.value)
    }

    /// Stores, or reads and modifies, which has one.
    pub(crate) fn modify<R>(&self, f: impl FnOnce(&AtomicU64) -> R) -> R {
        self.turn.store(0, Relaxed);
        // No other task need go on between the two.
        loom::stop_exploring();
        let result = f(&self.value);
        loom::explore();
        result
    }
}

impl Execution {
    fn new(number: u64) -> Self {
        let word = || Word {
            value: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            memory: UnsafeCell::new(()),
        };
        Self {
            number,
            words: std::iter::repeat_with(word).take(WORDS).collect(),
            words_used: Cell::new(0),
            readers: std::iter::repeat_with(|| Mutex::new(()))
                .take(TASKS)
                .collect(),
            depths: RefCell::new(vec![0; TASKS]),
            looks: RefCell::new(vec![0; TASKS]),
            calls: Mutex::new(()),
            callbacks: RefCell::default(),
            works: workqueue::Shared::new(),
            locks: RefCell::default(),
            tasks: RefCell::default(),
            freed: RefCell::default(),
            allocated: Cell::new(0),
            leaked: RefCell::default(),
            trace: RefCell::default(),
        }
    }

    /// The word that was taken for something, if one was.
    pub(crate) fn word_if_used(&self, placed: &Placed) -> Option<&Word> {
        placed.get(self).map(|at| &self.words[at])
    }

    /// The word that is taken for something.
    pub(crate) fn word(&self, placed: &Placed) -> &Word {
        let at = placed.get(self).unwrap_or_else(|| {
            let at = self.words_used.replace(self.words_used.get() + 1);
            assert!(at < WORDS, "a model uses more atomics than there are");
            placed.set(self, at);
            at
        });
        &self.words[at]
    }

    /// Keeps a lock.
    pub(crate) fn add_lock(&self, placed: &Placed, lock: Rc<dyn Any>) {
        let mut locks = self.locks.borrow_mut();
        placed.set(self, locks.len());
        locks.push(lock);
    }

    /// The lock that was kept for something.
    pub(crate) fn lock(&self, placed: &Placed) -> Rc<dyn Any> {
        let at = placed.get(self).expect("the lock was initialised");
        self.locks.borrow()[at].clone()
    }

    /// Counts an allocation, which has to be freed before the interleaving is over.
    pub(crate) fn count_allocation(&self) {
        self.allocated.set(self.allocated.get() + 1);
    }

    /// It need not be freed.
    pub(crate) fn leak(&self, memory: *mut u8) {
        self.allocated.set(self.allocated.get() - 1);
        self.leaked.borrow_mut().push(memory);
    }

    /// Somebody has taken it over, who frees it, if it was one that need not be freed.
    pub(crate) fn take_over(&self, memory: *mut u8) {
        let mut leaked = self.leaked.borrow_mut();
        if let Some(at) = leaked.iter().position(|it| *it == memory) {
            leaked.remove(at);
            self.count_allocation();
        }
    }

    /// Keeps freed memory from being used again.
    pub(crate) fn keep_freed(&self, memory: *mut u8, layout: Layout) {
        self.allocated.set(self.allocated.get() - 1);
        self.freed.borrow_mut().push((memory, layout));
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        for (memory, layout) in self.freed.take() {
            // SAFETY: It was allocated so, and is handed in once, by the owner.
            unsafe { std::alloc::dealloc(memory, layout) };
        }
    }
}

/// A property, and what shows it.
pub struct Model {
    /// What the README's table calls it.
    pub name: &'static str,
    /// What holds.
    pub property: &'static str,
    /// How many CPUs there are for the tasks.
    pub cpus: u32,
    /// How many tasks are taken away from what they do, at most; without a number, all there are.
    pub preemptions: Option<usize>,
    /// One interleaving.
    pub run: fn(),
}

/// Runs a model on so many CPUs, in all interleavings that take at most `preemptions` tasks away from
/// what they do (that wait for nothing); in all there are without a number. Panics at the first one
/// that fails.
///
/// Returns how many there were.
pub fn model(cpus: u32, preemptions: Option<usize>, run: impl Fn() + Sync + Send + 'static) -> u64 {
    CPUS.set(cpus);
    static TELLS: Once = Once::new();
    TELLS.call_once(tell_when_panicking);
    let before = COUNT.get();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    // What an interleaving that failed has left.
    CURRENT.set(None);
    builder.check(move || {
        let number = COUNT.get() + 1;
        COUNT.set(number);
        let execution = Rc::new(Execution::new(number));
        CURRENT.set(Some(execution));
        // The first one.
        task();
        run();
        crate::rcu::rcu_barrier();
        let left = current().allocated.get();
        assert_eq!(left, 0, "{left} allocations were never freed");
        let execution = CURRENT.take();
        // In the interleaving: locks have things that loom watches.
        if let Some(execution) = execution {
            let locks = execution.locks.take();
            CURRENT.set(Some(execution));
            drop(locks);
            CURRENT.set(None);
        }
    });
    COUNT.get() - before
}
