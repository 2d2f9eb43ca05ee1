package import TenonCore
package import TenonStore

/// A tablet that becomes two.
///
/// The half begins with what the tablet is just before the split's entry: a copy of its store, in
/// which the sessions and their floor stand (Rule S3), and a flush record of its own. So a write
/// that ran before is answered by the half when it is sent again, and never runs twice.
extension StateMachine {
    /// Whether `split` still fits the bounds: it is of their generation, and its key lies inside.
    package func canSplit(_ split: TabletSplit) -> Bool {
        split.tablet == tablet && split.generation == generation && bounds.lower < split.at
            && bounds.upper.map { split.at < $0 } ?? true
    }

    /// What stands in the store of the half beside its data, when the next entry, at `index` of
    /// `term`, splits the tablet.
    ///
    /// - Parameter configuration: the half's first membership, opaque here.
    package func halfRecord(
        of split: TabletSplit, at index: LogIndex, _ term: Term, configuration: Bytes
    ) -> FlushRecord {
        precondition(
            index == appliedIndex.next,
            "a split at \(index) of tablet \(tablet), which has applied \(appliedIndex)")
        var state = FlushedState(self, configuration: configuration)
        state.tablet = split.half
        state.logDigest = halfDigest(of: split)
        state.extent = FlushedState.Extent(
            bounds: KeyInterval(lower: split.at, upper: bounds.upper),
            generation: split.newGeneration, lastSplit: nil)
        return FlushRecord(index: index, term: term, payload: state.encoded())
    }

    /// Where the half's chain of digests begins: the same on every replica (Rule S5).
    private func halfDigest(of split: TabletSplit) -> Digest {
        var digest = logDigest
        digest.combine(split.half.rawValue)
        return digest
    }

    /// The effect of a split's entry, once the half stands on its own.
    func applySplit(_ entry: Entry) throws(KVError) {
        let split: TabletSplit
        do throws(DecodingError) {
            split = try TabletSplit(payload: entry.payload)
        } catch {
            throw .corruptEntry(at: entry.index, error)
        }
        guard split.logicVersion <= .newest else {
            throw .unknownLogicVersion(split.logicVersion, at: entry.index)
        }
        guard canSplit(split) else { return }
        lastSplit = AppliedSplit(split, at: entry.index, entry.term, upper: bounds.upper)
        bounds = KeyInterval(lower: bounds.lower, upper: split.at)
        generation = split.newGeneration
    }

    /// The last split that a snapshot's tablet had, as its flush record says; nil when it had none.
    ///
    /// - Throws: `damagedState` when the record is not what was written.
    package static func lastSplit(in record: FlushRecord) throws(KVError) -> AppliedSplit? {
        do throws(DecodingError) {
            return try FlushedState(record.payload).extent?.lastSplit
        } catch {
            throw .damagedState("flush record: \(error)")
        }
    }
}
