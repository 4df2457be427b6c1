import { NsbError } from '../message/nsb-error.ts'

/**
 * The first line of stdin; what follows can still be read.
 *
 * @param what is expected there, for the error
 * @throws {NsbError} NSB_BAD_ARGUMENTS when there is none
 */
export async function lineOfStdin(what: string): Promise<string> {
  const { stdin } = process
  const line = stdin.isTTY ? '' : await readLine(stdin)
  if (line !== '') return line
  throw new NsbError({ code: 'NSB_BAD_ARGUMENTS', message: `A ${what} was expected on stdin, and there is none.` })
}

function readLine(stream: NodeJS.ReadStream): Promise<string> {
  let held = Buffer.alloc(0)
  return new Promise((resolve, reject) => {
    const done = (line: Buffer, rest: Buffer | undefined): void => {
      stream.off('readable', read).off('end', end).off('error', reject)
      if (rest !== undefined && rest.length > 0) stream.unshift(rest)
      resolve(line.toString('utf8').trim())
    }
    const read = (): void => {
      for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) {
        held = Buffer.concat([held, chunk])
        const at = held.indexOf('\n')
        if (at >= 0) return done(held.subarray(0, at), held.subarray(at + 1))
      }
    }
    const end = (): void => done(held, undefined)
    stream.on('readable', read).once('end', end).once('error', reject)
  })
}
