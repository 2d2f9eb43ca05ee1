/// Every rare branch that is marked by ``reached(_:)``: the list that a sweep is held against.
/// A new mark goes under the module it stands in.
package enum Mark: Int, CaseIterable, Sendable {
    // TenonRaft
    case electionLost
    case preVoteLost
    case stickyVoterKeptLeader
    case oldTermAnswered
    case appendRejected
    case entriesTruncated
    case leaderSteppedDownWithoutQuorum
    case leaderHandsOverWhenStalled
    case leaderMutedWhenStalled
    case transferLate
    case jointConfigurationEnded
    case leaderThatGoesHandsOver
    case snapshotContinuesLog
    case snapshotReplacesLog
    case snapshotTooLateForLog
    case startAfterUnfinishedInstall
    case followerReadExpired
    case followerReadRefused
    case staleReadAnswerDropped
    case lostEntriesRestored
    case followerLostEntries

    // TenonLog
    case logTailTorn
    case logBatchDamaged
    case logLossUnnamed
    case logTailRewritten
    case logReserveRegained
    case logForwarded
    case logForwardingFoundDamage
    case logRefusedWhenFull

    // TenonStore
    case storeJobAbandoned

    // TenonKV
    case sessionAnsweredAgain
    case sessionDuplicateDropped
    case sessionExpired
    case sessionAhead
    case historyGone
    case applyNeedsBlocks
    case applyHeldForLogSpace

    // TenonNode
    case handOverRefused
    case upkeepRefused
    case strangerRefused
    case emptyNodeRefused
    case formationRepeated
    case folderRefused
    case logWasFull
    case trimOvertookEntries
    case logDamageQuarantined
    case storeDamageQuarantined
    case digestAskedAhead
    case snapshotSent
    case snapshotInstalled
    case snapshotGivenUp
    case snapshotSuperseded
    case snapshotOvertakenByLog
    case snapshotRefusedAsBusy
    case storeJobRetriedLater
    case readExpiredInTablet
    case directoryFileDamaged
    case replicaCreated
    case replicaRemoved
    case replicaRefusedByTombstone
    case memberChangeDeferred
    case strangerReplicaAsked
    case clockAnswerLate
    case clockBegun
    case clockStepFollowed
    case clockStopped
    case clockHandedOver
    case untimelyEntryWithheld
    case untimelyLeaderSteppedDown
    case damageBelowFlushPassed
    case repairBegun
    case repairedFromPeer
    case repairEnded
}
