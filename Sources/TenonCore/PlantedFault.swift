/// A rule of the engine that is broken on purpose, so that the simulation can show that it would
/// notice: a check that cannot fail is worthless.
///
/// Each fault stands where its rule is kept, as `if isPlanted(.fault)`. Without the package trait
/// `PlantedFaults` ``isPlanted(_:)`` is a constant `false`, and the optimizer removes what it
/// guards; with it, `tenon-sim … --plant NAME` plants one fault in the whole process.
@usableFromInline
package enum PlantedFault: Sendable {
    // TenonRaft

    /// A vote leaves in the turn in which it is given, and the log never hears of it.
    case voteNotPersisted
    /// A candidate counts a repeated answer of one voter again.
    case voteCountedTwice
    /// A leader commits an entry of an older term as soon as a quorum has it.
    case oldTermCommittedByCounting
    /// A leader takes its reads for confirmed without an answer from anybody (Rule C2).
    case readIndexWithoutQuorum
    /// A read joins a round whose messages were already made (Rule C2).
    case readJoinsSentRound
    /// A snapshot that is older than the log's end throws the newer entries away.
    case snapshotOverNewerEntries
    /// A follower drops everything after an append's first entry, in conflict or not.
    case committedSuffixTruncated
    /// A follower answers an append at once, and syncs it later.
    case acknowledgedBeforeDurable
    /// Tickets mark entries durable that were overwritten after them (Rule L4).
    case lateTicketMarksOverwritten
    /// A leader's lease goes on after the voters' promises have ended (Rule C3).
    case leaseNeverEnds
    /// A voter votes although it has promised not to (Rule C3).
    case promiseForgotten
    /// A replica counts as new as what its leader told it of, applied or not (Rule S8).
    case closedTooEarly
    /// A leader tells its followers how new they are without an answer from anybody (Rule S8).
    case closedWithoutQuorum
    /// A configuration counts once it is applied, not once it is in the log (Rule C4).
    case configurationActiveOnApply

    // TenonLog

    /// A leader's own append counts as durable as soon as it is written, without a sync.
    case acknowledgedBeforeSync
    /// A batch whose bytes do not match its checksum is replayed like any other.
    case tornTailAccepted
    /// A bad batch ends the log, whatever valid ones come after it (Rule L2).
    case damagedMiddleTruncated
    /// The last batch found is taken for durable as it is (Rule L3).
    case recoveredTailNotSynced
    /// A batch that an earlier use of the segment left is replayed (Rule L1).
    case staleRecordAccepted
    /// A batch that is lost with its header harms no tablet (Rule L2).
    case lostHeaderLeavesTabletsWhole

    // TenonStore and TenonKV

    /// A flush saves the applied index of another moment than that of its data (Rule L5).
    case appliedIndexApartFromData
    /// A flush does not wait for the log (Rule L5).
    case flushAheadOfLog
    /// A snapshot leaves the sessions out.
    case sessionsLostInSnapshot
    /// Of a client's outcomes only the highest sequence is kept (Rule S3).
    case sessionKeptAsHighestSequence
    /// A write first issued before the session floor runs (Rule S3).
    case expiredSessionRuns

    // TenonNode

    /// A node with an empty folder takes part under the name that it had (Rule I1).
    case wipedNodeVotes
    /// A peer in a life that is new here is listened to before the others are asked (Rule I2).
    case newLifeUnasked
    /// A leader does not mind that a voter never got its replica.
    case missingVoterNotTold
    /// Two empty nodes of three found a cluster (Rule I1).
    case twoEmptyNodesFoundCluster
    /// A node that has a tablet again gets the number of its first replica, and no tombstone
    /// keeps it from that (Rule I3).
    case replicaAddedUnderOldID
    /// A replica goes at the word of a directory that knows an older configuration than it has itself
    /// (Rule C4).
    case removalUnproved
    /// A leader stamps with its own clock, and voters take whatever it stamps: one whose clock
    /// says ten years from now commits versions of then (Rule S2).
    case ownClockTrusted
    /// A replica that lost entries goes on with what is left of its log, and votes (Rule L7).
    case damagedSuffixDropped
    /// A change of the set of quiet groups is taken up whatever was missed before it (Rule C9).
    case quietSetNumberIgnored
    /// The half of a split tablet begins without the sessions (Rule S3).
    case splitForgetsSessions
    /// The half's store is copied without what is in memory only.
    case splitBeforeFlush
    /// The half counts as made before its store is copied.
    case splitRecordBeforeCheckpoint
    /// A witness drops what voters with data in one site only have (Rule C7).
    case witnessDropsEarly
    /// A witness answers reads of whatever age, out of what it does not have (Rule C7).
    case witnessServes
    /// A leader goes on proposing writes behind a split that is not applied, and they run.
    case writesBehindSplit

    // What the drills must notice: mostly not a wrong answer, but none for too long

    /// The log's newest batches count as durable and are in memory only.
    case acknowledgedInMemory
    /// A leader that hands over never tells its successor.
    case transferTargetNotTold
    /// A log without room passes for written (Rule L6).
    case fullLogPassesForWritten
    /// A leader whose disk stalls stays (architecture, section 4, rule 6).
    case stalledLeaderStays
    /// A leader that reaches nobody stays, and takes its reads for confirmed (Rule C2).
    case isolatedLeaderServes
    /// A leader that falls silent is waited for: no election timeout.
    case silentLeaderKept
    /// Voters are placed near home, however many of them one city or room then has.
    case exposedLayoutAllowed
    /// Nobody hands a leadership back to its home.
    case leadersStayAway
    /// A majority within one room or city acknowledges, whatever the configuration asks (Rule C6).
    case acknowledgedWithinSite
    /// A leader that hears nobody stays: no check-quorum.
    case deafLeaderStays
    /// No pre-vote, no stickiness and no relay: whoever misses the leader raises the term.
    case everyTimeoutRaisesTerm
    /// An entry commits when the slowest voter has it, and nothing is relayed.
    case slowestVoterCounts
    /// Whoever is of an epoch that a recovery ended goes on, and is listened to (Rule C10).
    case epochFenceOff
}

/// Whether `fault` is planted in this process: never without the trait `PlantedFaults`.
@inlinable
@inline(__always)
package func isPlanted(_ fault: PlantedFault) -> Bool {
    #if PLANTED_FAULTS
        return unsafe plantedFault == fault
    #else
        return false
    #endif
}

#if PLANTED_FAULTS
    /// The fault that is planted; set once, before the engine runs.
    @usableFromInline
    nonisolated(unsafe) package var plantedFault: PlantedFault?

    extension PlantedFault: CaseIterable {
        /// The fault of this name, as `--plant` takes it.
        package init?(name: String) {
            guard let fault = PlantedFault.allCases.first(where: { "\($0)" == name }) else {
                return nil
            }
            self = fault
        }

        /// Whether only a drill with real processes can see it: the simulation looks for wrong
        /// answers, not for late ones.
        package var isForDrills: Bool {
            switch self {
            case .acknowledgedInMemory, .transferTargetNotTold, .fullLogPassesForWritten,
                .stalledLeaderStays, .isolatedLeaderServes, .silentLeaderKept,
                .exposedLayoutAllowed, .leadersStayAway,
                .deafLeaderStays, .everyTimeoutRaisesTerm, .slowestVoterCounts, .epochFenceOff:
                true
            default: false
            }
        }
    }
#endif
