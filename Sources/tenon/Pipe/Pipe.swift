import ArgumentParser
import TenonClient
import TenonCore

struct Pipe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer JSON requests from standard input, one a line.",
        discussion: """
            Requests run concurrently, answers come as they complete and carry the request's id; \
            "wait":true holds a request until all earlier ones are answered. Docs/Protocol.md \
            lists the operations.

            EXAMPLE
              printf '%s\\n' '{"id":1,"op":"put","key":"a","value":"1"}' \\
                '{"id":2,"op":"get","key":"a","wait":true}' | tenon pipe
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var place: LocalityOption
    @Option(help: "Requests under way at once.")
    var inFlight = 1_024

    func validate() throws {
        guard (1...10_000).contains(inFlight) else {
            throw ValidationError("--in-flight is 1 to 10000.")
        }
    }

    func run() async throws {
        try await connection.withClient(locality: place.text) { client in
            let output = OutputStream()
            try await answerAll(client, output)
            try await output.flush()
        }
    }

    private func answerAll(_ client: TenonClient, _ output: OutputStream) async throws {
        var lines = try InputLines(path: "-")
        try await withThrowingTaskGroup(of: Void.self) { group in
            var running = 0
            while let line = try await lines.next() {
                guard !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { continue }
                let parsed = Pipe.parse(line)
                let bound =
                    if case .success(let request) = parsed, request.isToWait { 1 } else {
                        inFlight
                    }
                while running >= bound {
                    try await group.next()
                    running -= 1
                }
                running += 1
                group.addTask { try await Pipe.answer(parsed, client, output) }
            }
            try await group.waitForAll()
        }
    }

    /// What a line asks for, or the answer to a line that asks for nothing.
    private static func parse(_ line: ArraySlice<UInt8>) -> Result<PipeRequest, InvalidLine> {
        var id: JSON?
        do {
            let json = try JSONParser.parse(line)
            id = json["id"]
            return .success(try PipeRequest(json))
        } catch {
            return .failure(InvalidLine(id: id, message: "\(error)"))
        }
    }

    private static func answer(
        _ parsed: Result<PipeRequest, InvalidLine>, _ client: TenonClient, _ output: OutputStream
    ) async throws(OutputClosed) {
        let id: JSON?
        let answer: JSON
        switch parsed {
        case .success(let request):
            id = request.id
            answer = await request.answer(client)
        case .failure(let line):
            id = line.id
            answer = AnswerJSON.failure(TenonError(.invalid, .notApplied, line.message))
        }
        guard case .object(let members) = answer else {
            preconditionFailure("an answer is an object, not \(answer)")
        }
        let echoed = (id.map { [JSON.Member("id", $0)] } ?? []) + members
        try await output.write(JSON.object(echoed).bytes + [UInt8(ascii: "\n")])
    }
}

/// A line that is no request, and its id where one could be read.
private struct InvalidLine: Error {
    let id: JSON?
    let message: String
}

extension PipeRequest {
    /// Does the request.
    fileprivate func answer(_ client: TenonClient) async -> JSON {
        do throws(TenonError) {
            return try await perform(client.keyspace(keyspace))
        } catch {
            return AnswerJSON.failure(error)
        }
    }

    private func perform(_ keys: Keyspace) async throws(TenonError) -> JSON {
        switch work {
        case .put(let key, let value, let condition):
            AnswerJSON.written(
                try await keys.write(key, value, if: condition, timeout: timeout))
        case .get(let key, let at, let staleness):
            AnswerJSON.got(
                try await keys.read(key, at: at, staleness: staleness, timeout: timeout))
        case .getMany(let list, let at, let staleness):
            AnswerJSON.gotMany(
                try await keys.readMany(list, at: at, staleness: staleness, timeout: timeout))
        case .delete(let key, let condition):
            AnswerJSON.deleted(try await keys.delete(key, if: condition, timeout: timeout))
        case .deleteRange(let from, let to):
            AnswerJSON.deletedRange(
                try await keys.deleteRange(from: from, to: to, timeout: timeout))
        case .scan(let range, let limit, let at, let page, let staleness):
            AnswerJSON.page(
                try await keys.scanPage(
                    range, limit: limit, at: at, staleness: staleness, page: page,
                    timeout: timeout))
        case .transaction(let conditions, let then, let otherwise):
            AnswerJSON.transacted(
                try await keys.transaction(
                    if: conditions, then: then, else: otherwise, timeout: timeout))
        }
    }
}
