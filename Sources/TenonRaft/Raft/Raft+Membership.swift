package import TenonCore

/// Changing the members of a group, one safe step at a time (Rule C4).
///
/// Who gets the log without a vote changes in one entry: no majority is touched. A change of
/// voters goes through a joint configuration, in which both the old and the new voters decide;
/// when that is committed the leader proposes the new ones alone. A joint configuration is never
/// left lying about: whoever leads ends it, and a leader that is not among the voters that come
/// hands over to one of them first.
///
/// Another rule of acknowledgement (Rule C6) goes the same way, the voters of before beside the same
/// ones of after: until the joint configuration is committed both rules hold, so that nothing is
/// acknowledged by a rule that may yet be taken back.
///
/// Source: Ongaro's thesis, section 4.3; learners first: section 4.2.1.
extension Raft {
    /// Makes `voters` and `learners` the members of the group, and everybody else no member.
    ///
    /// A voter that comes must be a learner that has caught up: one with an empty log would leave
    /// the group without a majority until it has everything.
    ///
    /// - Parameters:
    ///   - voters: in rising order of replica, not empty.
    ///   - learners: in rising order of replica. A voter that goes may be among them.
    ///   - acknowledgement: what these voters ask of a commit; nil for the rule in force, which
    ///     then must be of the same voters.
    /// - Returns: the entry that begins the change. What becomes of it shows in ``membership``.
    /// - Throws: ``MembershipChangeError``; nothing has changed then.
    @discardableResult
    package mutating func changeMembers(
        voters: [Member], learners: [Member], acknowledgement: Acknowledgement? = nil,
        now: Instant
    ) throws(MembershipChangeError) -> LogIndex {
        advanceClock(to: now)
        let current = membership
        guard role == .leader else { throw .proposal(.notLeader(hint: leader)) }
        guard !current.isJoint else { throw .proposal(.configurationUnderWay) }
        guard
            acknowledgement != nil || voters == current.incoming
                || current.acknowledgement == .majority
        else { throw .malformed(.malformed("voters without their sites")) }
        let acknowledgement = acknowledgement ?? current.acknowledgement
        let isJoint =
            voters != current.incoming || acknowledgement != current.acknowledgement
        guard isJoint || learners != current.learners else { throw .noChange }
        for voter in voters where !current.incoming.contains(voter) {
            guard isCaughtUp(voter) else { throw .notCaughtUp(voter.replica) }
        }
        let next: Membership
        do {
            next = try Membership(
                incoming: voters, outgoing: isJoint ? current.incoming : [], learners: learners,
                generation: current.generation.next, acknowledgement: acknowledgement,
                outgoingAcknowledgement: isJoint ? current.acknowledgement : .majority)
        } catch {
            throw .malformed(error)
        }
        do { return try proposeMembership(next) } catch { throw .proposal(error) }
    }

    /// Proposes the members as they are once more, under the next number: a replica that knows of a
    /// configuration of that number, which was never committed, learns by it that it is no member.
    ///
    /// - Throws: ``MembershipChangeError``; nothing has changed then.
    package mutating func restateMembers(now: Instant) throws(MembershipChangeError) {
        advanceClock(to: now)
        guard role == .leader else { throw .proposal(.notLeader(hint: leader)) }
        guard !membership.isJoint else { throw .proposal(.configurationUnderWay) }
        do { _ = try proposeMembership(restated) } catch { throw .proposal(error) }
    }

    /// Whether `member` is a learner or voter that has all entries, or has them under way.
    package func isCaughtUp(_ member: Member) -> Bool {
        guard let position = leadership.position(of: member.replica),
            leadership.progress[position].member == member
        else { return false }
        return isKeepingUp(leadership.progress[position])
    }

    /// Ends a joint configuration that is committed: proposes the voters that come alone, or, when
    /// this replica is none of them, hands over to one. Called whenever something may have moved.
    mutating func leaveJointConfiguration() {
        guard role == .leader, membership.isJoint, isReadyToServe,
            history.activeIndex <= commit, leadership.transfer == nil, !leadership.isMuted
        else { return }
        guard membership.incoming.contains(where: { $0.replica == configuration.replica }) else {
            return handOverToComingVoter()
        }
        reached(.jointConfigurationEnded)
        _ = appendAsLeader(.configuration, restated.encoded(), restated)
    }

    /// The voters and learners in force under the next number; of a joint configuration those that
    /// come, which ends it.
    private var restated: Membership {
        do {
            return try Membership(
                incoming: membership.incoming, learners: membership.learners,
                generation: membership.generation.next,
                acknowledgement: membership.acknowledgement)
        } catch {
            preconditionFailure("a half of a configuration is none: \(error)")
        }
    }

    private mutating func handOverToComingVoter() {
        let coming = leadership.progress.filter { progress in
            membership.incoming.contains(progress.member) && isKeepingUp(progress)
                && !progress.isLogFull && !progress.member.isWitness
        }
        let best = coming.max { ($0.match, $1.replica) < ($1.match, $0.replica) }
        guard let best else { return }
        reached(.leaderThatGoesHandsOver)
        beginTransfer(to: best.replica)
    }
}
