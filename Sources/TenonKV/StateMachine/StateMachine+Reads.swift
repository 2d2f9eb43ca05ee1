package import TenonCore
package import TenonStore

/// The answer to a get: what the key has, and where the read stood (Rule S7).
package struct ReadAnswer: Hashable, Sendable {
    package var value: StoredValue?
    package var at: Timestamp

    package init(value: StoredValue?, at: Timestamp) {
        self.value = value
        self.at = at
    }
}

/// The answer to a getMany: one value a key, in the order of the keys, all at one version.
package struct ReadManyAnswer: Hashable, Sendable {
    package var values: [StoredValue?]
    package var at: Timestamp
}

extension StateMachine {
    /// What `key` had at a version, nil for the newest.
    package func get(
        _ key: Bytes, at version: Timestamp?, blocks: PinnedBlocks
    ) -> StoreRead<Result<ReadAnswer, ReadError>> {
        guard bounds.contains(key) else { return .ready(.failure(.outsideTablet)) }
        switch point(of: version) {
        case .failure(let error): return .ready(.failure(error))
        case .success(let point):
            switch store.get(.user(key), at: point.time, blocks: blocks) {
            case .needs(let read): return .needs(read)
            case .ready(let found):
                return .ready(.success(ReadAnswer(value: found, at: point.shown)))
            }
        }
    }

    /// What several keys had at one version. All missing blocks are asked for at once.
    ///
    /// Refused with `tooLarge` when the values together pass `answerBytesMax`.
    package func getMany(
        _ keys: [Bytes], at version: Timestamp?, blocks: PinnedBlocks
    ) -> StoreRead<Result<ReadManyAnswer, ReadError>> {
        precondition(
            keys.count <= Limits.getManyKeysMax,
            "\(keys.count) keys in a getMany, at most \(Limits.getManyKeysMax)")
        guard keys.allSatisfy({ bounds.contains($0) }) else {
            return .ready(.failure(.outsideTablet))
        }
        switch point(of: version) {
        case .failure(let error): return .ready(.failure(error))
        case .success(let point): return readMany(keys, point, blocks)
        }
    }

    private func readMany(
        _ keys: [Bytes], _ point: ReadPoint, _ blocks: PinnedBlocks
    ) -> StoreRead<Result<ReadManyAnswer, ReadError>> {
        var answer = ReadManyAnswer(values: [], at: point.shown)
        answer.values.reserveCapacity(keys.count)
        var missing: BlockRead?
        var bytes = 0
        for key in keys {
            switch store.get(.user(key), at: point.time, blocks: blocks) {
            case .needs(let read):
                if missing == nil { missing = read } else { missing?.merge(read) }
            case .ready(let found):
                bytes += found?.bytes.count ?? 0
                answer.values.append(found)
            }
        }
        if bytes > configuration.answerBytesMax {
            let bound = configuration.answerBytesMax
            return .ready(.failure(.tooLarge(bytes: bytes, bound: bound)))
        }
        return missing.map { .needs($0) } ?? .ready(.success(answer))
    }

    // MARK: the version of a read

    /// Where a read stands: the time it asks the store for, and the version its answer shows.
    struct ReadPoint {
        var time: Timestamp
        var shown: Timestamp
    }

    /// The point of a read at `version`, or why there is none (Rules S4, S8).
    func point(of version: Timestamp?) -> Result<ReadPoint, ReadError> {
        guard let version else {
            // Nothing applied is above the last version, so the newest is what stands there.
            return .success(ReadPoint(time: .newest, shown: lastVersion))
        }
        guard version >= readFloor else {
            reached(.historyGone)
            return .failure(.historyGone(floor: readFloor))
        }
        guard version <= max(lastVersion, observed) else {
            return .failure(.ahead(last: lastVersion))
        }
        return .success(ReadPoint(time: version, shown: version))
    }

    /// The floor of reads. The store's may be ahead while the log is replayed after a restart:
    /// files were made by a floor whose command is applied again only later.
    var readFloor: Timestamp { max(historyFloor, store.historyFloor) }
}
