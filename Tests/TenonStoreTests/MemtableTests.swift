import Testing
import TenonCore

@testable import TenonStore

@Suite("Memtable")
struct MemtableTests {
    @Test("gives back the version that a read sees")
    func versions() {
        let memtable = Memtable(after: .zero)
        for version in 1...5 {
            memtable.insert(.user("k"), Bytes("v\(version)"), at: Timestamp(UInt64(version)))
        }
        let key = StoreKey.user("k").prefixed
        let node = memtable.firstNode(atOrAfter: key, Timestamp(3))
        #expect(node.map { memtable.value(of: $0) } == "v3")
        memtable.checkInvariants()
    }
}
