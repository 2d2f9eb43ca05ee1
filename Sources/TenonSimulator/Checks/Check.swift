/// What is checked after every step. The checks of workloads stand beside them.
extension Check {
    /// At most one leader in a term of a tablet. (Raft paper, figure 3.)
    package static let electionSafety = Check("election safety")
    /// Nobody is elected in a later term while a leader reads by a lease (Rule C3).
    package static let oneLease = Check("no election within a lease")
    /// A leader got the votes of a quorum, its own included.
    package static let electionQuorum = Check("election quorum")
    /// No replica votes for two in a term, over all its lives.
    package static let oneVote = Check("one vote a term")
    /// A vote leaves a replica when it is on the disk, not before.
    package static let durableVote = Check("durable vote")
    /// Entries of equal index and term are equal, and so are the ones before them.
    package static let logMatching = Check("log matching")
    /// A leader's log holds every committed entry.
    package static let leaderCompleteness = Check("leader completeness")
    /// No two replicas apply different entries at one index.
    package static let stateMachineSafety = Check("state-machine safety")
    /// Replicas that applied the same entries are equal, outcomes included (Rule S5).
    package static let equalDigests = Check("equal digests")
    /// What is committed is on the disks of a quorum.
    package static let durableQuorum = Check("durable on a quorum")
    /// Where a configuration asks for it, what is committed is on disks of two cities, or rooms
    /// (Rule C6).
    package static let durableElsewhere = Check("durable elsewhere")
    /// A witness drops an entry when it is on disks of two cities, not before, unless its log is
    /// full (Rule C7).
    package static let keptByWitness = Check("a witness keeps what one city only has")
    /// A leader commits by counting only entries of its own term. (Raft paper, section 5.4.2.)
    package static let ownTermCommit = Check("commit in the own term")
    /// A follower accepts an append when it is on its disk, not before (Rule L4).
    package static let durableAccept = Check("durable accept")
    /// No replica drops a committed entry that it holds.
    package static let committedKept = Check("committed entries are kept")
    /// What was durable in a log before a crash is there after it.
    package static let recoveredWhole = Check("recovery keeps what was durable")
    /// A log gives back nothing that nobody wrote.
    package static let recoveredTrue = Check("recovery invents nothing")
    /// What a log gave back survives a power cut right away (Rule L3).
    package static let recoveredDurable = Check("recovery is durable")
    /// A flush is never ahead of the durable log, a trim never ahead of the flush (Rule L5).
    package static let flushBehindLog = Check("flush behind the log")
    /// Nothing is called damaged that nobody damaged.
    package static let noFalseDamage = Check("no false damage")
    /// A log that lost something durable says so: a damaged node that goes on as if it were whole
    /// would vote and count without what it acknowledged (Rule L2).
    package static let damageNoticed = Check("damage is noticed")
    /// A process ends of its own accord only when its disk failed it.
    package static let noFalseEnd = Check("no false end")
    /// A folder that is not the node's newest takes no part (Rules I1, I2).
    package static let strangerSilent = Check("a stranger's folder is silent")
    /// A replica that was removed from a node does not come back under its number (Rule I3).
    package static let numberUsedOnce = Check("a replica's number is used once")
    /// No node drops a replica that has a vote in the newest committed configuration: its word may
    /// have made entries committed (Rule C4).
    package static let votersKept = Check("voters keep their replicas")
    /// A replica that lost entries which it promised votes and leads only when it has them again,
    /// or a newer leader's instead (Rule L7).
    package static let noVoteWhileLost = Check("no vote while entries are lost")
    /// There is one cluster (Rule I1).
    package static let oneCluster = Check("one cluster")
    /// Versions stay within 500 ms of the median of the clocks, but for logical steps, whatever a
    /// minority of clocks says (Rule S2).
    package static let timelyVersions = Check("versions near the clocks")
    /// A replica has all that was acknowledged before the moment that it names (Rule S8).
    package static let closedTruly = Check("a replica knows its age")
    /// Both ends of a numbered set of quiet groups hold the same groups (Rule C9).
    package static let quietSets = Check("quiet sets agree")
    /// A voter that held a split's entry makes its half of its own store: it may be one of those
    /// whose word made the split committed.
    package static let halvesOfVoters = Check("voters keep their halves")
    /// When all faults are healed the cluster serves within a bound of time.
    package static let liveness = Check("liveness")
    /// When all is quiet all whole replicas are equal.
    package static let convergence = Check("convergence")
    /// Every key's history is linearizable.
    package static let linearizability = Check("linearizability")
    /// The program itself found that it contradicts itself, and stopped.
    package static let trap = Check("trap")
}
