import TenonCore
import TenonWire
import Testing

@testable import TenonClient

@Suite struct CallTests {
    @Test func `A place is found by its newest number only`() {
        var map = SlotMap(vacant: "")
        let first = map.insert("a")
        let place = SlotMap<String>.place(of: first)
        #expect(map.find(first) == place && map[place] == "a" && map.count == 1)
        map.remove(at: place)
        #expect(map.find(first) == nil && !map.isUsed(place) && map.count == 0)
        #expect(map[place].isEmpty, "what was taken out is kept in memory")
        map.reuseEmptied()
        let second = map.insert("b")
        #expect(SlotMap<String>.place(of: second) == place)
        #expect(map.find(first) == nil && map.find(second) == place)
    }

    @Test func `A call accepts the answers of its kind and any refusal`() {
        let point = ReadPoint(tablet: TabletID(2), version: .zero)
        let answers: [Answer] = [
            .outcome(.duplicate, at: point), .value(nil, at: point), .values([], at: point),
            .page([], next: nil, at: point), .directory(Stage.directory()), .done,
        ]
        let accepted: [(Call.Work, [Int])] = [
            (.write(.delete(key: "a", condition: .none)), [0]),
            (.ask(.get(key: "a", at: nil)), [1]),
            (.ask(.getMany(keys: [], at: nil)), [2]),
            (.ask(.scan(ScanRequest(from: "", to: nil, limit: 1))), [3]), (.ask(.describe), [4]),
            (.ask(.transferLeadership(to: NodeID(1))), [5]), (.ask(.contentDigest), [0, 5]),
            (.ask(.status), []),
        ]
        for (work, expected) in accepted {
            let call = Call(work: work, route: .anywhere, deadline: .zero)
            #expect(answers.indices.filter { call.accepts(answers[$0]) } == expected)
            #expect(call.accepts(.refusal(Refusal(.unavailable, ""))))
        }
    }
}
