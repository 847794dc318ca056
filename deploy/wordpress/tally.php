<?php
/**
 * Plugin Name: Tally
 * Description: The reaction bar under posts and pages. A must-use plugin: copy it to wp-content/mu-plugins/tally.php, and put
 *              define( 'TALLY_URL', 'https://tally.example.org' ); into wp-config.php.
 *
 * A post's article id is its number; in a network of sites, <site>/<number>. The filter `tally_article` may return another
 * id, or '' for no bar. The filter `tally_post_types` selects the post types that have a bar:
 *
 *     add_filter( 'tally_article', fn( $article, $post ) => has_category( 'obituaries', $post ) ? '' : $article, 10, 2 );
 *     add_filter( 'tally_post_types', fn( $types ) => array( 'post', 'recipe' ) );
 *
 * The bar appears once, below the text of the page being shown. It never appears in a list, excerpt, widget, block, feed, REST
 * answer or AMP page. A theme that does not show the text with the_content() can call tally_bar() where the bar should be.
 *
 * The plugin stores nothing, and a page is the same for every reader, so page caches may keep it.
 */

defined( 'ABSPATH' ) || exit;

/** Tally's URL without a trailing slash; '' if wp-config.php does not define it. */
function tally_url() {
	return defined( 'TALLY_URL' ) ? untrailingslashit( TALLY_URL ) : '';
}

/** The article id of a post; '' for no bar. */
function tally_article( WP_Post $post ) {
	$id = is_multisite() ? get_current_blog_id() . '/' . $post->ID : (string) $post->ID;
	return (string) apply_filters( 'tally_article', $id, $post );
}

/** Whether the output is a page for a browser: scripts do not run anywhere else. */
function tally_is_page() {
	return ! is_admin() && ! is_feed() && ! is_embed() && ! wp_doing_ajax()
		&& ! ( defined( 'REST_REQUEST' ) && REST_REQUEST )
		&& ! ( function_exists( 'amp_is_request' ) && amp_is_request() )
		&& ! ( function_exists( 'is_amp_endpoint' ) && is_amp_endpoint() );
}

/** The article of the page being shown, if it is a published post without a password; otherwise ''. */
function tally_article_of_page() {
	$types = (array) apply_filters( 'tally_post_types', array( 'post', 'page' ) );
	$post  = $types && tally_url() && tally_is_page() && is_singular( $types ) ? get_queried_object() : null;
	return $post instanceof WP_Post && 'publish' === $post->post_status && ! post_password_required( $post ) && ! is_preview()
		? tally_article( $post ) : '';
}

/** The bar of the page being shown; '' if it has no bar. */
function tally_bar() {
	$article = tally_article_of_page();
	return '' === $article ? '' : sprintf( '<tally-reactions article="%s"></tally-reactions>', esc_attr( $article ) );
}

// Runs late, so that the bar is below what other plugins add. Other texts also pass through this filter: those of other posts and
// widgets, and excerpts, which are made from the text.
add_filter(
	'the_content',
	function ( $content ) {
		return in_the_loop() && is_main_query() && get_the_ID() === get_queried_object_id() && ! doing_filter( 'get_the_excerpt' )
			&& false === strpos( $content, '<tally-reactions' ) ? $content . tally_bar() : $content;
	},
	100
);

// The room of the bar as in docs/embedding.md, so that nothing moves when the script arrives.
const TALLY_ROOM = 'tally-reactions { display: block; min-height: 12.5em; }
@media (max-width: 37em) { tally-reactions { min-height: 19.4em; } }
@media (max-width: 20.9em) { tally-reactions { min-height: 26.3em; } }';

add_action(
	'wp_head',
	function () {
		if ( '' !== tally_article_of_page() ) {
			echo "<style>\n" . TALLY_ROOM . "\n</style>\n"; // phpcs:ignore WordPress.Security.EscapeOutput -- a constant
			wp_print_script_tag(
				array(
					'type' => 'module',
					'src'  => esc_url( tally_url() . '/tally.js' ),
				)
			);
		}
	}
);

add_action(
	'admin_notices',
	function () {
		if ( '' === tally_url() ) {
			printf(
				'<div class="notice notice-error"><p>%s</p></div>',
				esc_html( "Tally shows no bar: wp-config.php does not say where it is, as in define( 'TALLY_URL', 'https://tally.example.org' );" )
			);
		}
	}
);
