internal import TenonCore
package import TenonLog
internal import TenonNode
internal import TenonRaft

/// What goes to a log, and what comes back from it.
extension StepChecker {
    /// A record on its way to the disk.
    func checkWritten(_ record: LogRecord, _ host: SimulatedHost) {
        guard let tablet = shadow(of: host.disk).place(of: record) else { return }
        switch record {
        case .entries(_, let replica, let entries), .repaired(_, let replica, let entries):
            checkEntries(entries, host, tablet, replica)
        case .trim(_, _, let through, _):
            checkDroppedByWitness(through, host, tablet)
            if let probe = lastProbes[rank(of: host)][tablet], through > probe.flushed {
                fail(
                    .flushBehindLog,
                    "\(host.name) trims tablet \(tablet + 1) through \(through), flushed "
                        + "\(probe.flushed)")
            }
        case .hardState, .reset, .remove, .metadata: break
        }
    }

    /// A vote that is durable now. One that a crash kept from the disk was never given.
    func checkVote(in record: LogRecord, _ host: SimulatedHost) {
        guard case .hardState(_, let replica, let state) = record, state.vote != .none,
            let tablet = shadow(of: host.disk).place(of: record)
        else { return }
        if let other = truths[tablet].note(vote: state.vote, by: replica, in: state.term) {
            fail(
                .oneVote,
                "\(host.name) votes in tablet \(tablet + 1), term \(state.term), for "
                    + "\(state.vote) and before for \(other)")
        }
    }

    private func checkEntries(
        _ entries: [Entry], _ host: SimulatedHost, _ tablet: Int, _ replica: ReplicaID
    ) {
        var previous: Term?
        for entry in entries {
            check(
                .logMatching, of: host, tablet, truths[tablet].note(entry, after: previous))
            previous = entry.term
            if let committed = truths[tablet].committedTerm(at: entry.index),
                committed != entry.term
            {
                // It may still be on its way out: then what it replaces was never applied here.
                let holds = shadow(of: host.disk).replicas[tablet].holds(entry.index, committed)
                if holds {
                    fail(
                        .committedKept,
                        "\(host.name) replaces entry \(entry.index) of tablet \(tablet + 1), "
                            + "committed in term \(committed), by one of term \(entry.term)")
                }
            }
        }
    }

    /// A record that was just written: what it drops must not be committed.
    func checkDropped(by record: LogRecord, _ host: SimulatedHost) {
        guard case .reset(_, _, let at, _) = record,
            let tablet = shadow(of: host.disk).place(of: record)
        else { return }
        let replica = shadow(of: host.disk).replicas[tablet]
        guard replica.isKnown, replica.last > at else { return }
        let next = at.next
        if let committed = truths[tablet].committedTerm(at: next),
            replica.term(at: next) == committed
        {
            fail(
                .committedKept,
                "\(host.name) begins the log of tablet \(tablet + 1) anew after \(at) and drops "
                    + "committed entries through \(min(replica.last, truths[tablet].lastCommitted))"
            )
        }
    }

    // MARK: Recovery

    package func opened(_ host: SimulatedHost, _ recovery: LogRecovery) {
        logReopenCount += 1
        let shadow = shadow(of: host.disk)
        for place in shadow.replicas.indices {
            let found = recovery.tablets.first { Int($0.tablet.rawValue) - 1 == place }
            if shadow.isRemoving(place) { continue }
            compare(shadow, found, host, place)
        }
        checkDurable(recovery, host)
        shadow.underWay = []
        shadow.unsynced = []
        for place in shadow.replicas.indices {
            let found = recovery.tablets.first { Int($0.tablet.rawValue) - 1 == place }
            let before = shadow.replicas[place]
            shadow.replicas[place] = DiskShadow.Replica(found)
            // A crash alone loses nothing; and what it left was compared above.
            let isSame = found?.replica == before.replica
            if isSame, found?.verdict != .whole || before.lacksPromised {
                shadow.replicas[place].owe(before)
            }
            if isSame {
                shadow.replicas[place].keepSplits(of: before)
            }
        }
    }

    private func compare(
        _ shadow: DiskShadow, _ found: RecoveredTablet?, _ host: SimulatedHost, _ tablet: Int
    ) {
        let replica = shadow.replicas[tablet]
        guard replica.isKnown else { return }
        if let found, replica.replica != .none, found.replica > replica.replica { return }
        let isDamaged = damaged.contains(host.id)
        let check = isDamaged ? Check.damageNoticed : .recoveredWhole
        guard let found else {
            if replica.last > .zero || replica.hardState.term > .zero {
                fail(check, "\(host.name) has lost tablet \(tablet + 1)")
            }
            return
        }
        guard found.verdict == .whole else {
            guard !isDamaged else { return }
            return fail(
                .noFalseDamage,
                "\(host.name) takes the log of tablet \(tablet + 1) for \(found.verdict)")
        }
        compareHardState(replica, found, host, tablet, check)
        compareEntries(replica, found, host, tablet, underWay: shadow.underWay, check)
        for entry in found.entries where !truths[tablet].knows(entry) {
            fail(
                .recoveredTrue,
                "\(host.name) finds entry \(entry.index) of term \(entry.term) of tablet "
                    + "\(tablet + 1), which nobody wrote")
        }
    }

    private func compareHardState(
        _ replica: DiskShadow.Replica, _ found: RecoveredTablet, _ host: SimulatedHost,
        _ tablet: Int, _ check: Check
    ) {
        let state = found.hardState ?? HardState()
        let isSameVote = replica.hardState.vote == .none || replica.hardState.vote == state.vote
        if state.term < replica.hardState.term
            || (state.term == replica.hardState.term && !isSameVote)
        {
            fail(
                check,
                "\(host.name) finds \(state) of tablet \(tablet + 1), durable was "
                    + "\(replica.hardState)")
        }
    }

    private func compareEntries(
        _ replica: DiskShadow.Replica, _ found: RecoveredTablet, _ host: SimulatedHost,
        _ tablet: Int, underWay: [LogRecord], _ check: Check
    ) {
        let last = found.entries.last?.index ?? found.baseIndex
        // What was on its way to the disk may have come there, and may have dropped something.
        var droppable = replica.last.next
        for record in underWay where shadow(of: host.disk).place(of: record) == tablet {
            switch record {
            case .entries(_, _, let entries): droppable = min(droppable, entries[0].index)
            case .reset: droppable = .zero
            case .repaired, .hardState, .trim, .remove, .metadata: break
            }
        }
        if last < replica.last, last.next < droppable {
            return fail(
                check,
                "\(host.name) finds tablet \(tablet + 1) through \(last), durable was "
                    + "\(replica.last)")
        }
        for entry in found.entries where entry.index < droppable {
            guard let term = replica.term(at: entry.index), term != entry.term else { continue }
            fail(
                check,
                "\(host.name) finds entry \(entry.index) of tablet \(tablet + 1) in term "
                    + "\(entry.term), durable was term \(term)")
        }
    }

    /// Rule L3: opens a copy of the disk as a power cut right now would leave it.
    private func checkDurable(_ recovery: LogRecovery, _ host: SimulatedHost) {
        let copy = host.disk.copy(seed: UInt64(logReopenCount))
        copy.capacityBytes = nil
        copy.cutPower(keeping: .nothing)
        do {
            let directory = SimulatedHost.directory + "/cell-0/log"
            let again = try Log.open(
                fileSystem: copy, directory: directory, configuration: cluster.options.log
            ).recovery
            for (found, expected) in zip(again.tablets, recovery.tablets)
            where found.hardState != expected.hardState || found.verdict != expected.verdict
                || found.entries.last?.position != expected.entries.last?.position
            {
                fail(
                    .recoveredDurable,
                    "\(host.name) finds tablet \(expected.tablet) \(expected.summary), after a "
                        + "power cut \(found.summary)")
            }
            if again.tablets.count < recovery.tablets.count {
                fail(.recoveredDurable, "\(host.name) loses a tablet by a power cut")
            }
        } catch {
            fail(.recoveredDurable, "\(host.name) after a power cut: \(error)")
        }
    }
}

extension DiskShadow.Replica {
    /// As a log was found.
    init(_ found: RecoveredTablet?) {
        self.init()
        guard let found else { return }
        isKnown = found.verdict == .whole
        replica = found.replica
        base = LogPosition(index: found.baseIndex, term: found.baseTerm)
        terms = found.entries.map(\.term)
        if !isKnown { entriesFound = found.entries.map(\.position) }
        hardState = found.hardState ?? HardState()
        for entry in found.entries where entry.kind == .split { splits.insert(entry.position) }
    }

    /// Those that are trimmed by now.
    mutating func keepSplits(of earlier: Self) {
        splits.formUnion(earlier.splits.filter { $0.index <= base.index })
    }
}

extension RecoveredTablet {
    /// For messages.
    fileprivate var summary: String {
        "\(verdict) through \(entries.last?.position.index ?? baseIndex), "
            + (hardState.map { "\($0)" } ?? "no hard state")
    }
}
