// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Who gets what was received: the request that waits for it, or the inbox. Pure bookkeeping,
//! without a system call.

use std::{collections::VecDeque, task::Waker};

use connector_wire::{CbId, Header, RawMessage};

use crate::{
    ack::Ack,
    error::{Error, Result},
    event::Event,
    message::{Message, Sender},
    overrun::{Cause, Overrun},
};

/// What an inbox entry is charged beyond its data, in bytes.
const CHARGE: usize = 64;

/// Identifies a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// Never handed out.
    const NOBODY: Self = Self(0);
}

/// How many ids to remember of those that have answered.
const REMEMBERED: usize = 32;

/// A request whose reply is awaited.
#[derive(Clone, Copy, Debug)]
struct Request {
    header: Header,
    answers: Answers,
    /// Whether it asks for an acknowledgement.
    asks: bool,
}

impl Request {
    #[inline]
    fn new(header: &Header, answers: Answers, asks: bool) -> Self {
        Self {
            header: *header,
            answers,
            asks,
        }
    }

    /// Whether there is no reply but an acknowledgement.
    fn is_answered_by_ack(&self) -> bool {
        matches!(self.answers, Answers::Acknowledgement)
    }
}

/// What the reply to a request is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answers {
    /// What replies to it by the rule of the connector, in either reading.
    ByGenealogy,
    /// What this says of the request's header and a message.
    By(fn(&Header, &RawMessage<'_>) -> bool),
    /// No message, but its acknowledgement.
    Acknowledgement,
}

impl Answers {
    /// Whether `message` is the reply to the request of a header.
    #[inline]
    fn are(self, request: &Header, message: &RawMessage<'_>) -> bool {
        match self {
            Self::ByGenealogy => message.header.answers(request),
            Self::By(rule) => rule(request, message),
            Self::Acknowledgement => false,
        }
    }
}

/// Someone who waits.
#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    /// The request whose reply is awaited, or `None` for whatever comes to the inbox.
    request: Option<Request>,
    /// The reply, or why there will be none. In a box, to keep waiters small: most replies are handed
    /// over without getting here.
    reply: Option<Box<Result<Message>>>,
    /// Whether the core has said that the request was handled.
    acknowledged: bool,
    /// Whether the kernel dropped messages meanwhile.
    overrun: bool,
    /// Whether it should not wait any more.
    interrupted: bool,
    /// How to wake it, once it sleeps.
    sleeper: Option<Waker>,
}

impl Waiter {
    fn new(ticket: Ticket, request: Option<Request>) -> Self {
        Self {
            ticket,
            request,
            reply: None,
            acknowledged: false,
            overrun: false,
            interrupted: false,
            sleeper: None,
        }
    }
}

/// Those who wait. Usually that is one, so the first has a place of its own, which needs no
/// look-up: that would be a good part of what a round trip costs here.
#[derive(Debug)]
struct Waiters {
    first: Waiter,
    /// Whether somebody has the first place.
    taken: bool,
    others: Vec<Waiter>,
}

impl Waiters {
    fn new() -> Self {
        Self {
            first: Waiter::new(Ticket::NOBODY, None),
            taken: false,
            others: Vec::new(),
        }
    }

    /// Gives a waiter the first place if that is free: where its request, if any, has to be put.
    #[inline]
    fn take_first(&mut self, ticket: Ticket) -> Option<&mut Option<Request>> {
        if self.taken {
            return None;
        }
        self.taken = true;
        self.first.ticket = ticket;
        Some(&mut self.first.request)
    }

    #[cold]
    fn enter_behind(&mut self, ticket: Ticket, request: Option<Request>) {
        self.others.push(Waiter::new(ticket, request));
    }

    /// Forgets a waiter; the last one takes its place.
    fn remove(&mut self, at: usize) {
        match at.checked_sub(1) {
            None => {
                self.first.reply = None;
                self.first.sleeper = None;
                self.vacate_first();
            }
            Some(other) => {
                self.others.swap_remove(other);
            }
        }
    }

    /// Forgets the first, who has no reply and does not sleep.
    #[inline]
    fn vacate_first(&mut self) {
        self.taken = false;
        self.first.ticket = Ticket::NOBODY;
        self.first.acknowledged = false;
        self.first.overrun = false;
        self.first.interrupted = false;
    }

    fn at(&mut self, at: usize) -> &mut Waiter {
        match at.checked_sub(1) {
            None => &mut self.first,
            Some(other) => &mut self.others[other],
        }
    }

    /// The place of the first waiter of this kind.
    fn position(&self, is_it: impl Fn(&Waiter) -> bool) -> Option<usize> {
        if self.taken && is_it(&self.first) {
            return Some(0);
        }
        self.others.iter().position(is_it).map(|other| other + 1)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiter> {
        let first = self.taken.then_some(&mut self.first);
        first.into_iter().chain(&mut self.others)
    }
}

/// What came and who waits for it.
#[derive(Debug)]
pub(crate) struct Exchange {
    inbox: VecDeque<Result<Event>>,
    /// The bytes in the inbox.
    kept: usize,
    /// The most that `kept` may become.
    limit: usize,
    /// How many messages were dropped since the inbox became full; their place is its end.
    dropped: u64,
    waiters: Waiters,
    next_ticket: u64,
    /// Ids that answered the last request that this socket sent to them.
    answered: Vec<CbId>,
}

impl Exchange {
    /// An exchange whose inbox keeps at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inbox: VecDeque::new(),
            kept: 0,
            limit,
            dropped: 0,
            waiters: Waiters::new(),
            next_ticket: 1,
            answered: Vec::new(),
        }
    }

    /// Enters someone who waits for anything.
    pub(crate) fn enter(&mut self) -> Ticket {
        let ticket = self.next_ticket();
        match self.waiters.take_first(ticket) {
            Some(place) => *place = None,
            None => self.waiters.enter_behind(ticket, None),
        }
        ticket
    }

    /// Enters someone who waits for the reply to a request, and says whether that has to ask for an
    /// acknowledgement.
    ///
    /// It does unless the id has answered before, which tells that somebody is there as well. To ask
    /// always would nearly double what a round trip costs where the core acknowledges (5972 instructions
    /// for 3141): a second datagram has to be made and received, and the reply cannot be made from the
    /// request. Elsewhere it would take a fifth more, to see that there is no second datagram.
    #[inline]
    pub(crate) fn enter_request(&mut self, header: &Header, answers: Answers) -> (Ticket, bool) {
        let asks = match answers {
            Answers::Acknowledgement => true,
            _ => !self.answers(header.id),
        };
        let ticket = self.next_ticket();
        // Made where it is kept, and not before: that saves ten instructions.
        match self.waiters.take_first(ticket) {
            Some(place) => *place = Some(Request::new(header, answers, asks)),
            None => self.enter_behind(ticket, header, answers, asks),
        }
        (ticket, asks)
    }

    #[cold]
    #[inline(never)]
    fn enter_behind(&mut self, ticket: Ticket, header: &Header, answers: Answers, asks: bool) {
        let request = Request::new(header, answers, asks);
        self.waiters.enter_behind(ticket, Some(request));
    }

    #[inline]
    fn next_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket = self.next_ticket.wrapping_add(1);
        ticket
    }

    /// Whether somebody answers at this id, as far as this socket knows.
    #[inline]
    fn answers(&self, id: CbId) -> bool {
        self.answered.first() == Some(&id) || self.is_among_answered(id)
    }

    #[cold]
    fn is_among_answered(&self, id: CbId) -> bool {
        self.answered.contains(&id)
    }

    /// Hands a message to the request that it replies to, or keeps it.
    pub(crate) fn message(&mut self, raw: RawMessage<'_>, sender: Sender) {
        let waiter = self.waiters.iter_mut().find(|waiter| {
            let answered = waiter.reply.is_some();
            let request = waiter.request;
            !answered && request.is_some_and(|request| request.answers.are(&request.header, &raw))
        });
        let message = Message::from_raw(raw, sender);
        let Some(waiter) = waiter else {
            return self.keep(Ok(Event::Message(message)));
        };
        waiter.reply = Some(Box::new(Ok(message)));
        wake(waiter);
        if let Some(Request {
            header, asks: true, ..
        }) = waiter.request
        {
            self.has_answered(header.id);
        }
    }

    /// Notes that there is somebody who answers at this id.
    #[cold]
    pub(crate) fn has_answered(&mut self, id: CbId) {
        if self.answered.contains(&id) {
            return;
        }
        if self.answered.len() == REMEMBERED {
            // Of so many ids, that one asks once more.
            self.answered.remove(0);
        }
        self.answered.push(id);
    }

    /// Tells the request that asked for it how it ended. If that waits no longer, nobody needs to
    /// know.
    pub(crate) fn acknowledge(&mut self, ack: &Ack<'_>) {
        let is_meant = |waiter: &Waiter| {
            let open = waiter.reply.is_none() && !waiter.acknowledged;
            let request = waiter.request.filter(|request| open && request.asks);
            request.is_some_and(|request| ack.is_of(&request.header))
        };
        let Some(waiter) = self.waiters.iter_mut().find(|waiter| is_meant(waiter)) else {
            return;
        };
        let Some(request) = waiter.request else {
            return;
        };
        waiter.reply = match (ack.error(&request.header), request.answers) {
            (Some(error), _) => Some(Box::new(Err(error))),
            (None, Answers::Acknowledgement) => {
                Some(Box::new(Ok(Message::new(request.header, b"", None, 0))))
            }
            (None, _) => {
                waiter.acknowledged = true;
                return;
            }
        };
        wake(waiter);
    }

    /// Keeps something for the inbox's readers, unless it is full and nobody reads.
    pub(crate) fn keep(&mut self, event: Result<Event>) {
        let charge = charge(&event);
        let wanted = self
            .waiters
            .iter_mut()
            .any(|waiter| waiter.request.is_none());
        let full = self.kept.saturating_add(charge) > self.limit;
        if self.dropped > 0 || (full && !wanted) {
            // A loss counts as the messages that it stands for.
            self.dropped = self.dropped.saturating_add(match event {
                Ok(Event::Overrun(overrun)) => overrun.lost.unwrap_or(1),
                _ => 1,
            });
            return;
        }
        self.kept += charge;
        self.inbox.push_back(event);
        // Whoever is first takes it. Not all may be able to: a task that holds a future need not poll
        // it.
        for waiter in self.waiters.iter_mut().filter(|it| it.request.is_none()) {
            wake(waiter);
        }
    }

    /// Notes for those who wait that their reply may have been dropped.
    pub(crate) fn dropping(&mut self) {
        for waiter in self.waiters.iter_mut() {
            waiter.overrun = true;
        }
    }

    /// Has all who wait cease to.
    pub(crate) fn interrupt(&mut self) {
        for waiter in self.waiters.iter_mut() {
            waiter.interrupted = true;
            wake(waiter);
        }
    }

    /// Whether this waiter should not wait any more.
    pub(crate) fn is_interrupted(&mut self, ticket: Ticket) -> bool {
        let at = self.position(ticket);
        at.is_some_and(|at| self.waiters.at(at).interrupted)
    }

    /// Takes the oldest of what was kept.
    pub(crate) fn take(&mut self) -> Option<Result<Event>> {
        if let Some(event) = self.inbox.pop_front() {
            self.kept -= charge(&event);
            return Some(event);
        }
        if self.dropped == 0 {
            return None;
        }
        let lost = std::mem::take(&mut self.dropped);
        Some(Ok(Event::Overrun(Overrun {
            lost: Some(lost),
            cause: Cause::Inbox,
        })))
    }

    /// Forgets those messages that were kept and are meant.
    pub(crate) fn forget(&mut self, is_meant: impl Fn(&Message) -> bool) {
        self.inbox.retain(|event| {
            let forgotten = matches!(event, Ok(Event::Message(message)) if is_meant(message));
            self.kept -= if forgotten { charge(event) } else { 0 };
            !forgotten
        });
    }

    /// What this waiter waited for, if it has come. The waiter is then no longer one.
    pub(crate) fn collect(&mut self, ticket: Ticket) -> Option<Result<Event>> {
        let at = self.position(ticket)?;
        let waiter = self.waiters.at(at);
        let found = match waiter.request {
            Some(_) => waiter.reply.take()?.map(Event::Message),
            None => self.take()?,
        };
        self.waiters.remove(at);
        Some(found)
    }

    /// Whether this waiter has the first place, and its reply has not come.
    #[inline]
    pub(crate) fn is_first_unanswered(&self, ticket: Ticket) -> bool {
        self.waiters.first.ticket == ticket && self.waiters.first.reply.is_none()
    }

    /// Forgets the waiter that [`Self::is_first_unanswered`] was true of, and that has not slept.
    #[inline]
    pub(crate) fn answer_first(&mut self) {
        self.waiters.vacate_first();
    }

    /// Stops waiting. What arrived for this waiter, and nobody took, is kept for the inbox.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Error {
        let Some(at) = self.position(ticket) else {
            return Error::TimedOut {
                request: None,
                overrun: false,
                acknowledged: false,
            };
        };
        let waiter = self.waiters.at(at);
        let (reply, request) = (waiter.reply.take(), waiter.request);
        let (overrun, acknowledged) = (waiter.overrun, waiter.acknowledged);
        self.waiters.remove(at);
        match (reply.map(|reply| *reply), request) {
            // What is no message concerned nobody else.
            (Some(Ok(reply)), Some(request)) if !request.is_answered_by_ack() => {
                self.keep(Ok(Event::Message(reply)));
            }
            // The next one has to ask whether it is still there.
            (None, Some(request)) => self.answered.retain(|id| *id != request.header.id),
            _ => {}
        }
        Error::TimedOut {
            request: request.map(|request| request.header),
            overrun,
            acknowledged,
        }
    }

    /// Notes how to wake this waiter when something came for it, or when it should receive.
    pub(crate) fn sleep(&mut self, ticket: Ticket, waker: &Waker) {
        if let Some(at) = self.position(ticket) {
            self.waiters.at(at).sleeper = Some(waker.clone());
        }
    }

    /// Wakes one of those who sleep, to receive for all. A waiter whose reply has come was woken
    /// already.
    #[inline]
    pub(crate) fn wake_one(&mut self) {
        if let Some(waiter) = self.waiters.iter_mut().find(|w| w.sleeper.is_some()) {
            wake(waiter);
        }
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        self.waiters.position(|waiter| waiter.ticket == ticket)
    }
}

/// Wakes a waiter if it sleeps.
#[cold]
fn wake(waiter: &mut Waiter) {
    if let Some(waker) = waiter.sleeper.take() {
        waker.wake();
    }
}

/// What keeping `event` costs, in bytes.
fn charge(event: &Result<Event>) -> usize {
    match event {
        Ok(Event::Message(message)) => message.data.len().saturating_add(CHARGE),
        _ => CHARGE,
    }
}

#[cfg(test)]
mod tests {
    use connector_wire::CbId;

    use super::*;

    const KERNEL: Sender = Sender {
        portid: 0,
        group: None,
    };

    fn header(seq: u32, ack: u32) -> Header {
        Header {
            id: CbId { idx: 16, val: 1 },
            seq,
            ack,
            ..Header::default()
        }
    }

    fn enter(exchange: &mut Exchange, header: Header) -> Ticket {
        exchange.enter_request(&header, Answers::ByGenealogy).0
    }

    fn arrive(exchange: &mut Exchange, seq: u32, ack: u32) {
        let raw = RawMessage {
            header: header(seq, ack),
            data: b"",
        };
        exchange.message(raw, KERNEL);
    }

    /// The `seq` and `ack` of what a waiter gets or of what is taken from the inbox.
    fn genealogy(event: Option<Result<Event>>) -> Option<(u32, u32)> {
        let header = event?.unwrap().into_message().unwrap().header;
        Some((header.seq, header.ack))
    }

    #[test]
    fn replies_out_of_order_reach_their_requests_and_strangers_the_inbox() {
        let mut exchange = Exchange::new(usize::MAX);
        let first = enter(&mut exchange, header(1, 0));
        let second = enter(&mut exchange, header(2, u32::MAX));

        arrive(&mut exchange, 1, 0); // Same seq, another ack: a new message.
        arrive(&mut exchange, 3, 1); // Another seq.
        arrive(&mut exchange, 2, 2); // Neither reading of the rule has it.
        arrive(&mut exchange, 2, 0); // The second's reply; its ack wraps.
        arrive(&mut exchange, 1, 1); // The first's.
        arrive(&mut exchange, 1, 1); // The same again: a message like any other.

        assert_eq!(genealogy(exchange.collect(first)), Some((1, 1)));
        assert_eq!(genealogy(exchange.collect(second)), Some((2, 0)));
        let inbox: Vec<_> = std::iter::from_fn(|| genealogy(exchange.take())).collect();
        assert_eq!(inbox, [(1, 0), (3, 1), (2, 2), (1, 1)]);
    }

    #[test]
    fn an_answer_with_the_next_seq_as_its_ack_reaches_its_request() {
        let mut exchange = Exchange::new(usize::MAX);
        let ticket = enter(&mut exchange, header(7, 0));
        arrive(&mut exchange, 7, 8);
        assert_eq!(genealogy(exchange.collect(ticket)), Some((7, 8)));
    }

    /// An acknowledgement of a request with the header `header(seq, _)`.
    fn ack(seq: u32, errno: i32) -> Ack<'static> {
        Ack {
            seq,
            // As it is when the message was handled, and when it was not.
            id: (errno != 0).then_some(header(0, 0).id),
            errno,
            text: None,
        }
    }

    /// `ENODEV`.
    const NOBODY_HAS_IT: i32 = 19;

    #[test]
    fn a_reply_is_one_whether_the_acknowledgement_comes_before_or_after_it() {
        for is_before in [true, false] {
            let mut exchange = Exchange::new(usize::MAX);
            let ticket = enter(&mut exchange, header(1, 0));
            if is_before {
                exchange.acknowledge(&ack(1, 0));
                assert!(exchange.collect(ticket).is_none());
            }
            arrive(&mut exchange, 1, 1);
            if !is_before {
                exchange.acknowledge(&ack(1, 0));
            }
            assert_eq!(genealogy(exchange.collect(ticket)), Some((1, 1)));
            assert!(exchange.take().is_none());
        }
    }

    #[test]
    fn who_nobody_is_there_for_is_told_and_the_others_wait_on() {
        let mut exchange = Exchange::new(usize::MAX);
        let first = enter(&mut exchange, header(1, 0));
        let anything = exchange.enter();
        let second = enter(&mut exchange, header(2, 0));
        let mut elsewhere = header(2, 0);
        elsewhere.id.val = 2;
        let third = enter(&mut exchange, elsewhere);
        exchange.acknowledge(&Ack {
            id: Some(elsewhere.id),
            ..ack(2, NOBODY_HAS_IT)
        });
        for other in [first, anything, second] {
            assert!(exchange.collect(other).is_none());
        }
        let Some(Err(Error::NotRegistered { request, .. })) = exchange.collect(third) else {
            panic!()
        };
        assert_eq!(request, elsewhere);
        arrive(&mut exchange, 2, 1);
        assert_eq!(genealogy(exchange.collect(second)), Some((2, 1)));
    }

    #[test]
    fn an_acknowledgement_that_nobody_waits_for_is_nobodys() {
        let mut exchange = Exchange::new(usize::MAX);
        let late = enter(&mut exchange, header(1, 0));
        exchange.leave(late);
        let waiting = enter(&mut exchange, header(2, 0));
        for errno in [0, NOBODY_HAS_IT] {
            exchange.acknowledge(&ack(1, errno));
            assert!(exchange.collect(waiting).is_none());
            assert!(exchange.take().is_none());
        }
        let Error::TimedOut { acknowledged, .. } = exchange.leave(waiting) else {
            panic!()
        };
        assert!(!acknowledged);
    }

    #[test]
    fn a_time_out_says_whether_the_request_was_handled() {
        let mut exchange = Exchange::new(usize::MAX);
        let ticket = enter(&mut exchange, header(1, 0));
        exchange.acknowledge(&ack(1, 0));
        let handled = |error| {
            let Error::TimedOut { acknowledged, .. } = error else {
                panic!("{error:?}")
            };
            acknowledged
        };
        assert!(handled(exchange.leave(ticket)));
        // It does not stick to the place.
        let ticket = enter(&mut exchange, header(2, 0));
        assert!(!handled(exchange.leave(ticket)));
    }

    #[test]
    fn an_id_is_asked_about_until_it_answers_and_again_when_it_does_not() {
        let mut exchange = Exchange::new(usize::MAX);
        let asks = |exchange: &mut Exchange, seq, answers: bool| {
            let (ticket, asks) = exchange.enter_request(&header(seq, 0), Answers::ByGenealogy);
            if answers {
                arrive(exchange, seq, 1);
                assert!(exchange.collect(ticket).is_some());
            } else {
                exchange.leave(ticket);
            }
            asks
        };
        assert!(asks(&mut exchange, 1, false));
        assert!(asks(&mut exchange, 2, true));
        assert!(!asks(&mut exchange, 3, true));
        assert!(!asks(&mut exchange, 4, false));
        assert!(asks(&mut exchange, 5, true));
        // Many others later.
        for val in 0..=REMEMBERED {
            let val = val as u32 + 100;
            exchange.has_answered(CbId { idx: 16, val });
        }
        assert!(asks(&mut exchange, 6, true));
        assert_eq!(exchange.answered.len(), REMEMBERED);
    }

    #[test]
    fn who_waits_for_an_acknowledgement_gets_that_and_no_message() {
        let mut exchange = Exchange::new(usize::MAX);
        exchange.has_answered(header(0, 0).id);
        let wait = |exchange: &mut Exchange| {
            let (ticket, asks) = exchange.enter_request(&header(1, 0), Answers::Acknowledgement);
            assert!(asks);
            ticket
        };
        let ticket = wait(&mut exchange);
        arrive(&mut exchange, 1, 1);
        assert!(exchange.collect(ticket).is_none());
        exchange.acknowledge(&ack(1, 0));
        assert!(exchange.collect(ticket).unwrap().is_ok());
        assert_eq!(genealogy(exchange.take()), Some((1, 1)));
        // Who leaves leaves nothing behind.
        let ticket = wait(&mut exchange);
        exchange.acknowledge(&ack(1, 0));
        exchange.leave(ticket);
        assert!(exchange.take().is_none());
    }

    #[test]
    fn an_interruption_is_for_those_who_wait_and_not_for_those_who_come_later() {
        let mut exchange = Exchange::new(usize::MAX);
        let (first, second) = (exchange.enter(), exchange.enter());
        exchange.interrupt();
        assert!(exchange.is_interrupted(first) && exchange.is_interrupted(second));
        exchange.leave(first);
        exchange.leave(second);
        let later = exchange.enter();
        assert!(!exchange.is_interrupted(later));
    }

    #[test]
    fn an_id_that_differs_makes_another_message() {
        let mut exchange = Exchange::new(usize::MAX);
        let mut other = header(1, 0);
        other.id.val = 2;
        let ticket = enter(&mut exchange, other);
        arrive(&mut exchange, 1, 1);
        assert!(exchange.collect(ticket).is_none());
        assert_eq!(genealogy(exchange.take()), Some((1, 1)));
    }

    #[test]
    fn who_leaves_is_told_of_drops_and_its_late_reply_is_kept() {
        let mut exchange = Exchange::new(usize::MAX);
        let ticket = enter(&mut exchange, header(1, 0));
        exchange.dropping();
        arrive(&mut exchange, 1, 1);
        let error = exchange.leave(ticket);
        assert!(matches!(error, Error::TimedOut { overrun: true, .. }));
        assert_eq!(genealogy(exchange.take()), Some((1, 1)));
    }

    #[test]
    fn what_is_forgotten_takes_no_room_and_what_is_not_stays_in_order() {
        let mut exchange = Exchange::new(3 * CHARGE);
        for seq in 0..3 {
            arrive(&mut exchange, seq, 0);
        }
        exchange.forget(|message| message.header.seq == 1);
        arrive(&mut exchange, 3, 0);
        for seq in [0, 2, 3] {
            assert_eq!(genealogy(exchange.take()), Some((seq, 0)));
        }
        assert!(exchange.take().is_none());
    }

    #[test]
    fn a_full_inbox_counts_what_it_drops_and_tells_once_at_the_place() {
        let mut exchange = Exchange::new(2 * CHARGE);
        for seq in 0..5 {
            arrive(&mut exchange, seq, 0);
        }
        assert_eq!(genealogy(exchange.take()), Some((0, 0)));
        // Room again, but what comes now is behind the loss and would be out of order.
        arrive(&mut exchange, 5, 0);
        assert_eq!(genealogy(exchange.take()), Some((1, 0)));
        let lost = exchange.take().unwrap().unwrap();
        let Event::Overrun(overrun) = lost else {
            panic!("{lost:?}")
        };
        assert_eq!((overrun.lost, overrun.cause), (Some(4), Cause::Inbox));
        assert!(exchange.take().is_none());
        arrive(&mut exchange, 6, 0);
        assert_eq!(genealogy(exchange.take()), Some((6, 0)));
    }
}
