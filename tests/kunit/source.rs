// SPDX-License-Identifier: GPL-2.0

//! KUnit suite of what an observer is told; part of `connector_kunit.ko` alone.

use kernel::{
    macros::kunit_tests,
    new_mutex,
    sync::{
        Completion,
        Mutex, //
    },
    time::Jiffies, //
};

#[kunit_tests(connector_source)]
mod source {
    use super::super::*;
    use super::*;
    use crate::{
        changes::hub,
        job::{
            self,
            Kind, //
        },
        left::loaded_module, //
    };

    /// Is told, and ends its own job when it was told as much as is said.
    #[pin_data]
    struct Observer {
        enough: usize,
        told: Atomic<usize>,
        #[pin]
        job: Mutex<Option<Job>>,
        #[pin]
        over: Completion,
    }

    struct Teller {
        feed: Arc<Feed>,
        observer: Arc<Observer>,
    }

    impl Run for Teller {
        const KIND: Kind = Kind::Watch;

        fn run(&mut self, item: &Item) -> Option<Jiffies> {
            let observer = &*self.observer;
            self.feed.tell(item, &|_event| {
                observer.told.add(1, Relaxed);
                if observer.told.load(Relaxed) == observer.enough {
                    let job = observer.job.lock().take();
                    drop(job);
                }
            });
            None
        }
    }

    impl Drop for Teller {
        fn drop(&mut self) {
            self.observer.over.complete_all();
        }
    }

    #[test]
    fn what_ended_because_its_module_goes_is_not_started() -> Result {
        struct Mute;

        impl Run for Mute {
            const KIND: Kind = Kind::Watch;

            fn run(&mut self, _item: &Item) -> Option<Jiffies> {
                None
            }
        }

        let look = || Sight {
            c_modules: false,
            missed: 0,
        };
        let source = Source::new(Feed::new(look)?, Mute)?;
        job::end_all_of(loaded_module());
        assert!(hub::start(source).is_err_and(|error| error == ENODEV));
        Ok(())
    }

    #[test]
    fn an_observer_is_told_nothing_after_it_ended_its_watch() -> Result {
        let look = || Sight {
            c_modules: true,
            missed: 3,
        };
        // Two changes, what was lost, and that C modules are seen.
        for enough in 1..=4 {
            let feed = Feed::new(look)?;
            feed.ring.push(CbId { idx: 9, val: 1 }, Change::Registered);
            feed.ring
                .push(CbId { idx: 9, val: 1 }, Change::Unregistered);
            let observer = pin_init!(Observer {
                enough,
                told: Atomic::new(0),
                job <- new_mutex!(None),
                over <- Completion::new(),
            });
            let observer = Arc::pin_init(observer, GFP_KERNEL)?;
            let job = Job::new(Teller {
                feed,
                observer: observer.clone(),
            })?;
            observer.job.lock().insert(job).queue(0);
            observer.over.wait_for_completion();
            assert_eq!(observer.told.load(Relaxed), enough);
        }
        // Those that ended themselves are kept until somebody asks.
        job::end_all_of(loaded_module());
        Ok(())
    }
}
