package import TenonCore
package import TenonWire

/// What a faulty link makes of the frames that are sent on it: when each arrives, or that it does
/// not. A value without clock, socket or chance of its own.
///
/// Works on what a turn sends: whole frames, never half of one. The order is kept, as TCP keeps
/// it: what has little jitter waits for what was sent before it.
package struct LinkShaper: Sendable {
    /// What becomes of one piece.
    package enum Verdict: Hashable, Sendable {
        /// Nothing is wrong with it: send it now.
        case pass
        /// It is kept; ``takeDue(at:)`` gives it when its time has come.
        case wait(until: Instant)
        /// It is lost.
        case drop
    }

    /// What a link may hold before more is dropped, as a sender's buffers do.
    package static let bytesMax = 64 << 20

    private struct Delivery {
        var due: Instant
        var bytes: [UInt8]
    }

    /// What is wrong with the link; nil for nothing.
    package private(set) var fault: LinkDisorder?
    /// In the order in which they were sent, which is that of their times.
    private var waiting: [Delivery] = []
    private var first = 0
    /// When the last piece has passed the narrow place of a capped link.
    private var busyUntil = Instant.zero
    private var random: SeededGenerator

    package init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// The link becomes otherwise faulty, or well. What waits is not lost, and not held back by a
    /// fault that is over: a link that was narrow would go on with what it held for minutes.
    package mutating func change(to fault: LinkDisorder?, now: Instant) {
        guard fault != self.fault else { return }
        self.fault = fault
        busyUntil = now
        for place in waiting.indices where waiting[place].due > now { waiting[place].due = now }
    }

    /// Bytes that wait for their time.
    package private(set) var waitingBytes = 0

    /// Whether no connection can come about.
    package var isCut: Bool { fault?.isCut ?? false }

    /// When ``takeDue(at:)`` has something next; nil when nothing waits.
    package var nextDue: Instant? { first < waiting.count ? waiting[first].due : nil }

    /// Takes what one turn sends.
    package mutating func accept(_ bytes: [UInt8], now: Instant) -> Verdict {
        guard let fault else {
            // A healed link sends first what it held: nothing may overtake that.
            return nextDue == nil ? .pass : hold(bytes, until: now, now: now)
        }
        if fault.isCut || isLost(fault) { return .drop }
        let due = passed(bytes.count, fault, now: now) + delay(fault)
        if due <= now, nextDue == nil { return .pass }
        return hold(bytes, until: due, now: now)
    }

    private mutating func hold(_ bytes: [UInt8], until due: Instant, now: Instant) -> Verdict {
        guard waitingBytes + bytes.count <= LinkShaper.bytesMax else { return .drop }
        let inOrder = max(due, waiting.last?.due ?? .zero)
        waiting.append(Delivery(due: inOrder, bytes: bytes))
        waitingBytes += bytes.count
        return .wait(until: inOrder)
    }

    /// What has arrived by `now`, in order.
    package mutating func takeDue(at now: Instant) -> [[UInt8]] {
        var due: [[UInt8]] = []
        while first < waiting.count, waiting[first].due <= now {
            waitingBytes -= waiting[first].bytes.count
            due.append(waiting[first].bytes)
            waiting[first].bytes = []
            first += 1
        }
        if first > waiting.count / 2 {
            waiting.removeFirst(first)
            first = 0
        }
        return due
    }

    /// The connection is gone, and what was under way with it.
    package mutating func reset() {
        waiting = []
        first = 0
        waitingBytes = 0
        busyUntil = .zero
    }

    private mutating func isLost(_ fault: LinkDisorder) -> Bool {
        fault.lossPerMille > 0 && random.below(1_000) < UInt64(fault.lossPerMille)
    }

    /// When the piece has passed the narrow place.
    private mutating func passed(_ count: Int, _ fault: LinkDisorder, now: Instant) -> Instant {
        guard fault.bytesPerSecond > 0 else { return now }
        let nanoseconds = UInt64(count).multipliedFullWidth(by: 1_000_000_000)
        let span =
            nanoseconds.high < fault.bytesPerSecond
            ? fault.bytesPerSecond.dividingFullWidth(nanoseconds).quotient : UInt64.max
        busyUntil = max(busyUntil, now) + TimeSpan(nanoseconds: span)
        return busyUntil
    }

    private mutating func delay(_ fault: LinkDisorder) -> TimeSpan {
        let base = UInt64(fault.delayMilliseconds) * 1_000_000
        guard fault.jitterMilliseconds > 0 else { return TimeSpan(nanoseconds: base) }
        let jitter = random.below(UInt64(fault.jitterMilliseconds) * 1_000_000)
        return TimeSpan(nanoseconds: base + jitter)
    }
}
