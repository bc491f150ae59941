// SPDX-License-Identifier: GPL-2.0

//! KUnit suite of jobs: who may make one, and who waits for its end.

use kernel::{
    macros::kunit_tests,
    time::{
        delay::fsleep,
        Delta, //
    },
};

#[kunit_tests(connector_job)]
mod job {
    use super::super::*;
    use super::*;
    use crate::left::loaded_module;

    /// Takes a while to be dropped.
    struct Slow {
        begun: Arc<Completion>,
        dropped: Arc<Atomic<bool>>,
    }

    impl Run for Slow {
        const KIND: Kind = Kind::Periodic;

        fn run(&mut self, _item: &Item) -> Option<Jiffies> {
            None
        }
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            self.begun.complete_all();
            fsleep(Delta::from_millis(50));
            self.dropped.store(true, Release);
        }
    }

    /// Drops another job when it is called.
    struct Ender(Option<Job>);

    impl Run for Ender {
        const KIND: Kind = Kind::Periodic;

        fn run(&mut self, _item: &Item) -> Option<Jiffies> {
            self.0 = None;
            None
        }
    }

    /// Does nothing, and takes no memory, which is leaked if it is refused.
    struct Nothing;

    impl Run for Nothing {
        const KIND: Kind = Kind::Periodic;

        fn run(&mut self, _item: &Item) -> Option<Jiffies> {
            None
        }
    }

    #[test]
    fn whoever_ends_a_job_waits_until_what_it_calls_was_dropped() -> Result {
        let begun = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let dropped = Arc::new(Atomic::new(false), GFP_KERNEL)?;
        let slow = Job::new(Slow {
            begun: begun.clone(),
            dropped: dropped.clone(),
        })?;
        let ended = slow.0.clone();
        let ender = Job::new(Ender(Some(slow)))?;
        ender.queue(0);
        begun.wait_for_completion();
        // Another task is about to drop it.
        Item::end(&ended);
        assert!(dropped.load(Acquire));
        Ok(())
    }

    #[test]
    fn a_module_that_goes_makes_no_more_jobs() -> Result {
        let mut refused = 0;
        let mut attempt = || {
            refused += u32::from(Job::new(Nothing).is_err_and(|error| error == ENODEV));
        };
        going::during(loaded_module(), || {
            attempt();
            // As if another one went meanwhile.
            going::during(loaded_module(), &mut attempt);
            attempt();
        });
        assert_eq!(refused, 3);
        drop(Job::new(Nothing)?);
        Ok(())
    }

    #[test]
    fn jobs_that_wait_for_each_other_never_run_out_of_workers() -> Result {
        /// Waits in its call.
        struct Waits(Arc<Completion>);

        impl Run for Waits {
            const KIND: Kind = Kind::Periodic;

            fn run(&mut self, _item: &Item) -> Option<Jiffies> {
                self.0.wait_for_completion();
                None
            }
        }

        let go_on = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let mut waiting = KVec::new();
        // More than the kernel's own workqueues run at a time.
        for _ in 0..1100 {
            let job = Job::new(Waits(go_on.clone()))?;
            job.queue(0);
            waiting.push(job, GFP_KERNEL)?;
        }
        Job::new(Nothing)?.call();
        go_on.complete_all();
        Ok(())
    }

    #[test]
    fn there_are_no_more_jobs_than_can_run_at_a_time() -> Result {
        let mut jobs = KVec::new();
        let refused = loop {
            match Job::new(Nothing) {
                Ok(job) => jobs.push(job, GFP_KERNEL)?,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, EBUSY);
        assert!(jobs.len() <= MOST);
        drop(jobs.pop());
        drop(Job::new(Nothing)?);
        Ok(())
    }

    #[test]
    fn a_job_knows_the_task_that_is_in_it() -> Result {
        struct Asker(Arc<Asked>);

        #[pin_data]
        struct Asked {
            inside: Atomic<u32>,
            #[pin]
            item: Mutex<Option<Arc<Item>>>,
        }

        impl Asker {
            fn ask(&self, item: &Item) {
                self.0.inside.add(u32::from(item.is_current()), Relaxed);
            }
        }

        impl Run for Asker {
            const KIND: Kind = Kind::Watch;

            fn run(&mut self, item: &Item) -> Option<Jiffies> {
                self.ask(item);
                None
            }
        }

        impl Drop for Asker {
            fn drop(&mut self) {
                if let Some(item) = self.0.item.lock().take() {
                    self.ask(&item);
                    if item.is_current() {
                        // Which would wait for this otherwise.
                        Item::end(&item);
                    }
                }
            }
        }

        let asked = pin_init!(Asked {
            inside: Atomic::new(0),
            item <- new_mutex!(None),
        });
        let asked = Arc::pin_init(asked, GFP_KERNEL)?;
        let job = Job::new(Asker(asked.clone()))?;
        *asked.item.lock() = Some(job.0.clone());
        assert!(!job.is_current());
        job.call();
        job.call();
        assert_eq!(asked.inside.load(Relaxed), 2);
        assert!(!job.is_current());
        // No work item runs now, but this task is in what is dropped.
        drop(job);
        assert_eq!(asked.inside.load(Relaxed), 3);
        Ok(())
    }
}
