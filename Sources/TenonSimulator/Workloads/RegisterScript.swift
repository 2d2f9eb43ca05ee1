package import TenonChecker
internal import TenonCore

/// Registers: reads, writes, compare-and-set and -delete of a few keys, getMany over a room's,
/// and reads at versions that were seen before.
package struct RegisterScript: WorkloadScript {
    package static let name = "registers"
    package static let clientCount = 4
    private static let keyCount = 3

    private let rooms: [KeyRoom]
    private var generator: SeededGenerator
    private var values = ValueMaker("r")
    /// What each client saw last of each key: what its next condition expects.
    private var seen: [[Bytes: StoredValue]]
    /// The last point of each room that somebody was told.
    private var points: [TabletID: Timestamp] = [:]

    package init(rooms: [KeyRoom], seed: UInt64) {
        self.rooms = rooms
        generator = SeededGenerator(seed: seed)
        seen = Array(repeating: [:], count: RegisterScript.clientCount)
    }

    package mutating func next(at place: Int) -> ScriptStep? {
        let room = generator.pick(rooms)
        let key = room.key(Int(generator.below(UInt64(RegisterScript.keyCount))))
        switch generator.below(20) {
        case 0..<6: return ScriptStep(.get(key: key), in: room)
        case 6: return ScriptStep(.get(key: key), in: room, asOf: points[room.tablet])
        case 7:
            let keys = (0..<RegisterScript.keyCount).map { room.key($0) }
            return ScriptStep(.getMany(keys: keys), in: room)
        case 8..<13:
            let value = values.next(paddingMax: 200, using: &generator)
            return ScriptStep(.put(key: key, value: value), in: room)
        case 13..<17:
            let value = values.next(using: &generator)
            let expect = condition(of: key, at: place)
            return ScriptStep(.compareAndSet(key: key, value: value, expect: expect), in: room)
        case 17:
            let expect = condition(of: key, at: place)
            return ScriptStep(.compareAndDelete(key: key, expect: expect), in: room)
        default: return ScriptStep(.delete(key: key), in: room)
        }
    }

    private mutating func condition(of key: Bytes, at place: Int) -> Condition {
        if generator.happens(percent: 10) { return .present }
        guard let last = seen[place][key] else { return .absent }
        return generator.happens(percent: 30) ? .value(last.bytes) : .version(last.version)
    }

    package mutating func ended(_ operation: HistoryOperation, at place: Int) {
        if let at = operation.at { points[at.tablet] = at.version }
        guard let key = operation.key, operation.asOf == nil else { return }
        switch operation.read {
        case .value(let bytes)?:
            seen[place][key] = operation.version.map { StoredValue(bytes: bytes, version: $0) }
        case .absent?: seen[place][key] = nil
        case nil: break
        }
    }
}
