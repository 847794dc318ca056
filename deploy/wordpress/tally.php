<?php
/**
 * Plugin Name: Tally
 * Description: The reaction bar under every post. A must-use plugin: copy it to wp-content/mu-plugins/tally.php, and put
 *              define( 'TALLY_URL', 'https://tally.example.org' ); into wp-config.php.
 *
 * A post's article id is its number; in a network of sites, <site>/<number>. The filter `tally_article` may give another
 * one, or '' for no bar:
 *
 *     add_filter( 'tally_article', fn( $article, $post ) => has_category( 'obituaries', $post ) ? '' : $article, 10, 2 );
 *
 * Nothing is stored, and a page says the same to every reader: page caches may keep it.
 */

defined( 'ABSPATH' ) || exit;

/** Where Tally is, without a slash at the end; '' where wp-config.php does not say it. */
function tally_url() {
	return defined( 'TALLY_URL' ) ? untrailingslashit( TALLY_URL ) : '';
}

/** The article id of a post; '' for no bar. */
function tally_article( WP_Post $post ) {
	$id = is_multisite() ? get_current_blog_id() . '/' . $post->ID : (string) $post->ID;
	return (string) apply_filters( 'tally_article', $id, $post );
}

/** The article of the page that is being shown: a published post's that needs no password; '' where there is none. */
function tally_article_of_page() {
	$post = is_singular( 'post' ) ? get_queried_object() : null;
	return $post && 'publish' === $post->post_status && ! post_password_required( $post ) && tally_url()
		? tally_article( $post ) : '';
}

// Late, so that it stands below what other plugins add. Once a page: excerpts and related posts are other posts' contents.
add_filter(
	'the_content',
	function ( $content ) {
		$article = get_the_ID() === get_queried_object_id() ? tally_article_of_page() : '';
		return '' === $article
			? $content
			: $content . sprintf( '<tally-reactions article="%s"></tally-reactions>', esc_attr( $article ) );
	},
	100
);

add_action(
	'wp_head',
	function () {
		if ( '' !== tally_article_of_page() ) {
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
