/* A wire between a page and the broker that can be cut: both ends see their connection end, and new ones are refused. */
import net from 'node:net';

export class Wire {
  #sockets = new Set();
  #server = null;
  #port = 0;

  constructor(host, port) {
    this.target = { host, port };
  }

  get url() {
    return `ws://127.0.0.1:${this.#port}/`;
  }

  async join() {
    this.#server = net.createServer((near) => {
      const far = net.connect(this.target);
      for (const [a, b] of [[near, far], [far, near]]) {
        this.#sockets.add(a);
        a.on('error', () => {});
        a.on('close', () => {
          this.#sockets.delete(a);
          b.destroy();
        });
        a.pipe(b);
      }
    });
    await new Promise((resolve, reject) => {
      this.#server.on('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = this.#server.address().port;
  }

  async cut() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#sockets.forEach((socket) => socket.resetAndDestroy());
    await closed;
  }
}
