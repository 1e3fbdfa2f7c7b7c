// SPDX-License-Identifier: GPL-2.0

import java.io.IOException;
import java.net.Socket;

/**
 * A client in Java, whose library never asks for keepalive: copies what it
 * receives to standard output. See nat.py.
 */
class Waiter {
	public static void main(String[] args) throws IOException {
		if (args.length != 2) {
			System.err.println("usage: java Waiter ADDR PORT");
			System.exit(2);
		}
		try (Socket socket = new Socket(args[0], Integer.parseInt(args[1]))) {
			socket.getInputStream().transferTo(System.out);
		}
		System.out.flush();
	}
}
