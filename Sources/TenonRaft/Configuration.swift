package import TenonCore

extension Raft {
    /// What names one replica of one group, and the timers and bounds it runs with.
    ///
    /// The timers are settings of the cluster, equal on all nodes (Rule C1).
    package struct Configuration: Sendable {
        /// The tablet whose group this is.
        package var tablet: TabletID
        /// This replica.
        package var replica: ReplicaID
        /// The cluster's epoch; messages of another one are dropped.
        package var epoch: Epoch
        /// Where the group's log began: what stands up to here came with the tablet, by a split,
        /// and is in no log. A replica that lacks it gets no vote and stands for no election.
        package var birth = LogPosition.zero
        /// Between two heartbeats of a leader.
        package var heartbeatInterval = TimeSpan.milliseconds(50)
        /// The shortest silence after which a voter stands for election; also how long one that
        /// heard a leader refuses votes, and how long a leader goes on without a quorum.
        package var electionTimeoutMin = TimeSpan.milliseconds(500)
        /// The longest silence (exclusive) after which a voter stands for election.
        package var electionTimeoutMax = TimeSpan.milliseconds(1_000)
        /// How old a leader's unfinished log write or unapplied commit may become before it hands
        /// over. Shorter moves leaders on every slow sync, longer makes clients wait.
        package var stallBound = TimeSpan.milliseconds(500)
        /// Bytes of entries under way to one follower. More keeps a long link full, less bounds
        /// what is sent again after a loss.
        package var windowBytesMax = 8 << 20
        /// Appends under way to one follower.
        package var windowMessagesMax = 128
        /// Bytes of the entries of one append; a larger single entry stands alone.
        package var messageBytesMax = 1 << 20
        /// Bytes of proposals that are not committed yet; beyond it they are refused.
        package var uncommittedBytesMax = 64 << 20
        /// Bytes of committed entries in one ``Ready``; a larger single entry stands alone.
        package var applyBytesMax = 4 << 20
        /// Reads that wait for their read index; beyond it they are rejected.
        package var pendingReadsMax = 65_536

        package init(tablet: TabletID, replica: ReplicaID, epoch: Epoch) {
            self.tablet = tablet
            self.replica = replica
            self.epoch = epoch
        }

        /// - Throws: ``ConfigurationError`` for the first setting that cannot work.
        package func validate() throws(ConfigurationError) {
            guard replica != .none else { throw .noReplica }
            guard heartbeatInterval > .zero, electionTimeoutMin >= heartbeatInterval * 2 else {
                throw .electionTimeoutTooShort(
                    minimum: electionTimeoutMin, heartbeat: heartbeatInterval)
            }
            guard electionTimeoutMax > electionTimeoutMin else {
                throw .emptyElectionTimeout(
                    minimum: electionTimeoutMin, maximum: electionTimeoutMax)
            }
            guard stallBound >= heartbeatInterval else { throw .notPositive("stallBound") }
            let bounds = [
                ("windowBytesMax", windowBytesMax), ("windowMessagesMax", windowMessagesMax),
                ("messageBytesMax", messageBytesMax), ("applyBytesMax", applyBytesMax),
                ("uncommittedBytesMax", uncommittedBytesMax), ("pendingReadsMax", pendingReadsMax),
            ]
            for (name, bound) in bounds where bound <= 0 { throw .notPositive(name) }
        }
    }
}

/// Why a configuration is refused.
package enum ConfigurationError: Error, Hashable, Sendable {
    /// The replica is 0, which names none.
    case noReplica
    /// The election timeout is under two heartbeats, so a single late one would end leaderships.
    case electionTimeoutTooShort(minimum: TimeSpan, heartbeat: TimeSpan)
    /// The range from which election timeouts are drawn is empty.
    case emptyElectionTimeout(minimum: TimeSpan, maximum: TimeSpan)
    /// A bound that must be positive (the stall bound: at least one heartbeat) is not.
    case notPositive(String)
}
