import ArgumentParser
import TenonClient
import TenonCore

struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the value of a key.",
        discussion: """
            Reads the newest value (linearizable), or with --at the one of a version. \
            Exits with 1 when the key has none.

            With --stale-within or --stale the nearest replica answers, and how old the value \
            may be is said on standard error, or as "stale" in the JSON.

            EXAMPLES
              tenon get alice
              tenon get alice --json
              tenon get alice --stale-within 2s --locality city=shanghai,dc=sh1
              tenon get alice --stale
            """)

    @OptionGroup var options: KeyspaceOptions
    @OptionGroup var form: ByteForm
    @OptionGroup var age: StaleOptions
    @Option(help: ArgumentHelp("Read as of this version.", valueName: "version"))
    var at: UInt64?
    @Flag(help: "Print the answer as JSON.")
    var json = false
    @Argument(help: "The key.")
    var key: String

    func run() async throws {
        let key = try form.bytes(of: key, "key")
        try await options.withKeyspace(locality: age.place.text) { keyspace in
            var isFound = false
            try await printing(json: json) {
                let read = try await keyspace.read(
                    key, at: at.map { Version($0) }, staleness: age.staleness)
                isFound = read.value != nil
                if !json { StaleOptions.note(read.age, at: read.at) }
                let text = try json ? nil : read.value.map { try form.text(of: $0.bytes, "value") }
                return (AnswerJSON.got(read), text)
            }
            guard isFound else {
                if !json { Console.note("no such key") }
                throw Exit.negative
            }
        }
    }
}

struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove the value of a key.",
        discussion: """
            Exits with 1 when the key has none, or a condition does not hold.

            EXAMPLE
              tenon delete alice --if-version 115318341632000000
            """)

    @OptionGroup var options: KeyspaceOptions
    @OptionGroup var form: ByteForm
    @OptionGroup var condition: ConditionOptions
    @Flag(help: "Print the answer as JSON.")
    var json = false
    @Argument(help: "The key.")
    var key: String

    func run() async throws {
        let key = try form.bytes(of: key, "key")
        let condition = try condition.condition(form)
        try await options.withKeyspace { keyspace in
            var isFound = false
            try await printing(json: json) {
                let deleted = try await keyspace.delete(key, if: condition)
                isFound = deleted.found
                return (AnswerJSON.deleted(deleted), "version \(deleted.version)")
            }
            guard isFound else {
                if !json { Console.note("no such key") }
                throw Exit.negative
            }
        }
    }
}

/// Prints what `body` gives: the JSON answer, or the text for a person. With `json` an error is
/// printed as the answer that `tenon pipe` would give, too.
func printing(json: Bool, _ body: () async throws -> (JSON, String?)) async throws {
    do {
        let (answer, text) = try await body()
        if json { print(answer.text) } else if let text { print(text) }
    } catch let error as TenonError where json {
        print(AnswerJSON.failure(error).text)
        throw error
    }
}
