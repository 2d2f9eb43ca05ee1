import TenonCore
import TenonKV
import TenonRaft
import TenonWire

/// Reads from a replica that may be behind (Rule S8).
///
/// What a replica has applied is the tablet as it was at the version that it applied last: versions
/// rise with the log, so none at or below it is committed later. That version is the closed one,
/// and it is where a stale read stands. How old it is the group knows
/// (``Raft/closedSince(applied:)``): leaders say it with their heartbeats. A group that rests, or a
/// bound that is shorter than the heartbeats, costs a question to the leader, which serves all
/// reads that come until it is too old.
extension Tablet {
    /// Takes a read that this replica may serve from what it has, or refuses it.
    ///
    /// - Returns: false when the read is for the leader, which this replica is.
    func takeStale(
        _ read: PendingRead, now: Instant, into output: inout TabletOutput
    ) -> Bool {
        guard problem == nil else {
            answer(read.waiter, .refusal(notServing), into: &output)
            return true
        }
        guard !refusesAsWitness else {
            reached(.witnessAskedForData)
            answer(read.waiter, .refusal(witnessHasNoData), into: &output)
            return true
        }
        guard !isApplyPaused else {
            answer(read.waiter, .refusal(Tablet.takesSnapshot), into: &output)
            return true
        }
        if let version = read.closedVersion {
            guard version > machine.lastVersion else {
                reads.take(read)
                return true
            }
            guard raft.role != .leader else { return false }
            reached(.staleReadRefused)
            answer(read.waiter, .refusal(notClosed(at: version)), into: &output)
            return true
        }
        if isNewEnough(for: read.staleness, now: now) {
            reads.take(read)
        } else if raft.role == .leader {
            return false
        } else if raft.leader != nil {
            // As a linearizable read of a follower: the leader says how far this replica must be.
            reached(.staleReadAskedLeader)
            gatheredReads.append(read)
        } else {
            reached(.staleReadRefused)
            answer(read.waiter, .refusal(tooOld(for: read.staleness, now: now)), into: &output)
        }
        return true
    }

    private static let takesSnapshot = Refusal(
        .unavailable, "this copy is being replaced by a newer one: ask another replica",
        retryAfterMilliseconds: 50)

    private func isNewEnough(for staleness: Staleness, now: Instant) -> Bool {
        switch staleness {
        case .any: return true
        case .none: return false
        case .within(let bound):
            guard case .within(let age) = contentAge(now: now) else { return false }
            return age <= bound
        }
    }

    /// How old what this replica has may be at `now`.
    func contentAge(now: Instant) -> ReadAge {
        guard let since = raft.closedSince(applied: machine.appliedIndex) else { return .unknown }
        return .within(milliseconds: Tablet.milliseconds(now.since(since)))
    }

    /// A length of time that one clock has seen, as no clock has seen it longer: they differ in
    /// pace by less than a hundredth. Rounded up.
    private static func milliseconds(_ span: TimeSpan) -> UInt32 {
        let nanoseconds = span.nanoseconds + span.nanoseconds / 100
        return UInt32(clamping: nanoseconds / 1_000_000 + 1)
    }

    /// How old the answer to `read` is when it is given in this turn. Refuses the read, and returns
    /// nil, when that is older than was asked for.
    func age(for read: PendingRead, into output: inout TabletOutput) -> ReadAge? {
        // What a closed version has is the same on all replicas.
        guard read.staleness != .none, read.closedVersion == nil else { return .newest }
        // One that was confirmed after it arrived lacks nothing that was acknowledged before.
        if read.isConfirmed { return .within(milliseconds: 0) }
        if isNewEnough(for: read.staleness, now: lastTurn) {
            reached(.staleReadServed)
            return contentAge(now: lastTurn)
        }
        reached(.staleReadRefused)
        answer(read.waiter, .refusal(tooOld(for: read.staleness, now: lastTurn)), into: &output)
        return nil
    }

    private func tooOld(for staleness: Staleness, now: Instant) -> Refusal {
        let age =
            switch contentAge(now: now) {
            case .within(let milliseconds): "may be \(milliseconds) ms old"
            case .unknown, .newest: "is of unknown age"
            }
        let asked =
            if case .within(let milliseconds) = staleness {
                " (asked for: \(milliseconds) ms)"
            } else {
                ""
            }
        return Refusal(
            .unavailable,
            "this copy of tablet \(id) \(age)\(asked) and hears no leader: ask another replica, or "
                + "read at any age", retryAfterMilliseconds: 50)
    }

    private func notClosed(at version: Timestamp) -> Refusal {
        Refusal(
            .unavailable,
            "this copy of tablet \(id) is at version \(machine.lastVersion.rawValue), not at "
                + "\(version.rawValue) yet: ask the leader", retryAfterMilliseconds: 50,
            leader: leaderNode)
    }
}

extension PendingRead {
    /// The version that it asks for, or that the page before it stood at: the same on all replicas
    /// that have come so far. Nil for the newest.
    fileprivate var closedVersion: Timestamp? {
        guard case .scan(let request) = question, let page = request.page else { return version }
        do throws(DecodingError) {
            return try PageToken(page).version ?? version
        } catch {
            // The state machine says so.
            return version
        }
    }
}
