import TenonCore
import TenonKV
import TenonRaft
import TenonStore
import TenonWire

/// What a witness does in place of applying.
struct WitnessState {
    /// Bytes of the entries that were passed since the last flush.
    var bytesPassed = 0
    /// Whether the flush under way records what a leader sent in place of a snapshot.
    var isTakingMetadata = false
    /// Up to where it was looked whether something can be dropped.
    var lookedThrough = LogIndex.zero
}

/// A replica that votes and keeps the log, and has no data (Rule C7).
///
/// It runs as every other replica does, with one difference: of the entries that are committed it
/// takes note, and does not run their commands. Its store stays empty; its flushes record where the
/// log stands, so that a start, a trim and a split go the way they always go.
extension Tablet {
    /// Whether this replica is one. As it was made: what its log says of it is the same.
    var isWitness: Bool { record.isWitness }

    /// Whether it refuses reads for that.
    var refusesAsWitness: Bool { isWitness && !isPlanted(.witnessServes) }

    /// Takes note of a committed entry. A flush is due as often as one of a copy would be: without
    /// it nothing can be dropped.
    func skip(_ entry: Entry) throws(KVError) {
        try machine.skip(entry)
        witness.bytesPassed += entry.encodedBytes
        if witness.bytesPassed >= configuration.store.memtableBytesMax { isFlushWanted = true }
    }

    // MARK: What it keeps

    /// Up to where the log may be dropped: what voters with data in two sites have. When the node's
    /// log has no room left all that is flushed goes, for a witness that cannot write counts for
    /// no majority; ``witnessRisk`` tells of it.
    func droppable(flushed: LogIndex) -> LogIndex {
        if isPlanted(.witnessDropsEarly) { return flushed }
        guard isTrimming, raft.isLogFull, flushed > raft.heldElsewhere else {
            return raft.heldElsewhere
        }
        reached(.witnessDroppedEarly)
        return flushed
    }

    /// Whether more may be dropped than when it was looked last. What a copy keeps for followers
    /// that were away a witness keeps, too: it may have to bring one of them up to date.
    func takesDropUp() -> Bool {
        guard isWitness, raft.heldElsewhere > witness.lookedThrough else { return false }
        witness.lookedThrough = raft.heldElsewhere
        return raft.payloadBytes > retainedLogBytes
    }

    /// What is at risk; nil when nothing is: entries are gone from here that voters with data in
    /// two sites are not known to have. Known they are once a leader has said so, after a start too.
    var witnessRisk: String? {
        let dropped = raft.basePosition.index
        guard isWitness, dropped > raft.heldElsewhere else { return nil }
        return "AT RISK: this witness has dropped entries through \(dropped), and copies in two "
            + "places are known to have those through \(raft.heldElsewhere) only: let a copy "
            + "elsewhere catch up"
    }

    // MARK: What it refuses

    var witnessHasNoData: Refusal {
        Refusal(
            .unavailable, "this replica of tablet \(id) is a witness and has no data: ask another",
            leader: leaderNode)
    }

    var witnessLeads: Refusal {
        Refusal(
            .unavailable,
            "a witness leads tablet \(id) until a voter with data has its log: try again",
            retryAfterMilliseconds: 50)
    }
}
