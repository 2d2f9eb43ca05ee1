package import TenonChecker
package import TenonCore
package import TenonWire

/// What the clients of a simulated cluster ask for, and what they must have seen.
///
/// The simulation owns the clients and the clock; a workload only says what comes next and
/// remembers what was answered. It draws everything from the seed of its parameters, never looks
/// at a node, and so is one file: a later feature adds its own and a line in the catalogue
/// (`Workloads/`).
///
/// Every client has at most one call under way. A workload that needs a client to repeat what
/// another one sent hands out the same body twice: the session is inside.
package protocol Workload: AnyObject {
    /// How many clients call at the same time; constant.
    var clientCount: Int { get }

    /// The next call of a client that has none under way.
    ///
    /// While the load lasts, nil means a pause, after which the client is asked again. When it is
    /// over (``WorkloadMoment/isClosing``: the faults are healed, all clients are at rest), a
    /// workload may read once more what it wants to check; nil then ends the client.
    func next(for client: SimulatedClient, at place: Int, _ moment: WorkloadMoment)
        -> WorkloadCall?

    /// How the last call of the client at `place` ended.
    func ended(
        _ call: WorkloadCall, at place: Int, sentAt: Instant, _ result: CallResult, now: Instant)

    /// What was seen, for the checkers of the end and for a file.
    var history: [HistoryOperation] { get }

    /// What was seen and must not be; empty when all is well. Called once, at the end.
    func failures() -> [CheckFailure]
}

/// When a workload is asked for a call.
package struct WorkloadMoment: Sendable {
    package var now: Instant
    package var wallTime: WallTime
    /// The load is over; see ``Workload/next(for:at:_:)``.
    package var isClosing: Bool

    package init(now: Instant, wallTime: WallTime, isClosing: Bool) {
        self.now = now
        self.wallTime = wallTime
        self.isClosing = isClosing
    }
}

/// One call of a workload.
package struct WorkloadCall: Sendable {
    package var body: RequestBody
    package var tablet: TabletID
    package var timeout: TimeSpan
    /// The node to ask first, counted from 0 and over again; nil for the one that the client asked
    /// last.
    package var rank: Int?

    package init(
        _ body: RequestBody, tablet: TabletID, timeout: TimeSpan = .seconds(4), rank: Int? = nil
    ) {
        self.body = body
        self.tablet = tablet
        self.timeout = timeout
        self.rank = rank
    }
}

/// What a workload is made from.
package struct WorkloadParameters: Sendable {
    /// Where every choice of the workload comes from.
    package var seed: UInt64
    /// The data tablets in the order of their keys: each begins at its lower bound.
    package var tablets: [(id: TabletID, lower: Bytes)]

    package init(seed: UInt64, tablets: [(id: TabletID, lower: Bytes)]) {
        self.seed = seed
        self.tablets = tablets
    }

    /// The tablet that holds `key`.
    package func tablet(holding key: Bytes) -> TabletID {
        let place = tablets.lastIndex { $0.lower <= key } ?? 0
        return tablets[place].id
    }
}

/// A property that a run checks, by its name in reports.
///
/// A struct and not an enum, so that whoever adds a check names it beside its code.
package struct Check: Hashable, Sendable, CustomStringConvertible {
    package let name: String
    package init(_ name: String) { self.name = name }
    package var description: String { name }
}

/// A check that did not hold.
package struct CheckFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package var check: Check
    /// What was expected and what was seen.
    package var message: String

    package init(_ check: Check, _ message: String) {
        self.check = check
        self.message = message
    }

    package var description: String { "\(check): \(message)" }
}
