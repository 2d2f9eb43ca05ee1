import TenonCore

@testable import TenonStore

/// What a store should say, kept in the dumbest way: every write in order, in a list.
struct ReferenceStore {
    enum Write {
        case put(StoreKey, Bytes, Timestamp)
        case delete(StoreKey, Timestamp)
        case deleteRange(StoreKey, StoreKey, Timestamp)
    }

    /// Every write ever made, in order.
    var writes: [Write] = []
    private var keys: Set<StoreKey> = []

    mutating func apply(_ write: Write) {
        writes.append(write)
        switch write {
        case .put(let key, _, _), .delete(let key, _): keys.insert(key)
        case .deleteRange: break
        }
    }

    /// Does the same to a real store.
    static func apply(_ write: Write, to store: Store) {
        switch write {
        case .put(let key, let value, let version): store.put(key, value, at: version)
        case .delete(let key, let version): store.delete(key, at: version)
        case .deleteRange(let lower, let upper, let version):
            store.deleteRange(from: lower, to: upper, at: version)
        }
    }

    /// What each key holds at `time`: the effect of all writes up to it, one after the other.
    func content(at time: Timestamp) -> [ScanItem] {
        var values: [StoreKey: StoredValue] = [:]
        for write in writes {
            switch write {
            case .put(let key, let value, let version) where version <= time:
                values[key] = StoredValue(bytes: value, version: version)
            case .delete(let key, let version) where version <= time: values[key] = nil
            case .deleteRange(let lower, let upper, let version) where version <= time:
                for key in keys where key >= lower && key < upper { values[key] = nil }
            default: break
            }
        }
        return values.keys.sorted().map { key in
            ScanItem(key: key, stored: values[key] ?? StoredValue(bytes: "", version: .zero))
        }
    }
}
