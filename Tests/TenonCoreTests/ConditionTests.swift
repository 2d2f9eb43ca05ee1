import TenonCore
import Testing

@Suite("Conditions")
struct ConditionTests {
    private let value = StoredValue(bytes: "a", version: Timestamp(7))

    @Test("Each condition holds of what it says and of nothing else")
    func holds() {
        let table: [(condition: Condition, ofValue: Bool, ofNothing: Bool)] = [
            (.none, true, true), (.absent, false, true), (.present, true, false),
            (.version(Timestamp(7)), true, false), (.version(Timestamp(8)), false, false),
            (.version(.zero), false, false), (.value("a"), true, false),
            (.value("b"), false, false), (.value(""), false, false),
        ]
        for line in table {
            #expect(line.condition.holds(of: value) == line.ofValue, "\(line.condition)")
            #expect(line.condition.holds(of: nil) == line.ofNothing, "\(line.condition)")
        }
    }
}
