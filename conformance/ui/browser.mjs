// Chromium with a new, empty profile, and an ear for what goes wrong in it.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { chromium } = createRequire(join(process.env.WORK, 'package.json'))('playwright-core');

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const SHOTS = join(process.env.WORK, 'screenshots');

export class Browser {
  /** What the console and the page complained about since it was last asked. */
  #complaints = [];

  static async open() {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), 'harrier-ui-'));
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, viewport: { width: 1440, height: 900 }, args: FLAGS, acceptDownloads: true,
    });
    browser.page = browser.context.pages()[0];
    browser.page.setDefaultTimeout(20_000);
    browser.page.on('console', (message) => ['error', 'warning'].includes(message.type()) && browser.#complaints.push(`${message.text()} ${message.location().url}`));
    browser.page.on('pageerror', (error) => browser.#complaints.push(String(error)));
    mkdirSync(SHOTS, { recursive: true });
    return browser;
  }

  /** Throws what was complained about; `expected` are texts that belong to the case. */
  checkConsole(expected = []) {
    const found = this.#complaints.filter((text) => !expected.some((part) => text.includes(part)));
    this.#complaints = [];
    if (found.length) throw new Error(`console: ${found.join(' | ')}`);
  }

  async shoot(name) {
    await this.page.screenshot({ path: join(SHOTS, `${name}.png`) });
  }

  async close() {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }
}
