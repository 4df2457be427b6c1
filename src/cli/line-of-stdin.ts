import { NsbError } from '../message/nsb-error.ts'

/** Whatever is asked for in one line is shorter. */
const longestLine = 1024 * 1024

/**
 * The first line of stdin; what follows can still be read.
 *
 * @param what is expected there, for the error
 * @throws {NsbError} NSB_BAD_ARGUMENTS when there is none, or no end of it
 */
export async function lineOfStdin(what: string): Promise<string> {
  const { stdin } = process
  const line = stdin.isTTY ? '' : await readLine(stdin, what)
  if (line.trim() !== '') return line
  throw badArguments(`A ${what} was expected on stdin, and there is none.`)
}

function readLine(stream: NodeJS.ReadStream, what: string): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    const leave = (): void => void stream.off('readable', read).off('end', end).off('error', fail)
    const end = (): void => {
      leave()
      resolve(
        Buffer.concat(parts)
          .toString('utf8')
          .replace(/^\uFEFF/, '')
          .replace(/\r$/, ''),
      )
    }
    const fail = (error: Error): void => {
      leave()
      reject(error)
    }
    const read = (): void => {
      for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) {
        const at = chunk.indexOf('\n')
        parts.push(at < 0 ? chunk : chunk.subarray(0, at))
        size += chunk.length
        if (at >= 0) {
          end()
          if (at + 1 < chunk.length) stream.unshift(chunk.subarray(at + 1))
          return
        }
        if (size > longestLine) return fail(badArguments(`A ${what} was expected on stdin, and its first line has no end.`))
      }
    }
    stream.on('readable', read).once('end', end).once('error', fail)
  })
}

const badArguments = (message: string): NsbError => new NsbError({ code: 'NSB_BAD_ARGUMENTS', message })
